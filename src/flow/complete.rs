//! Complete: the best epoch of a training becomes the model of its run, its head refitted on the validation split.

use crate::artifact::model_file::ModelFile;
use crate::artifact::run_directory::{CALIBRATION, MODEL, RunDirectory};
use crate::artifact::tensor_file::FileError;
use crate::common::interaction::Part;
use crate::config::Config;
use crate::engine::cpu::CpuScorer;
use crate::engine::model::Head;
use crate::engine::objective::Objective;
use crate::evaluate::calibrate::{Calibration, Outcome, calibrate};
use crate::evaluate::{held_out, score};
use crate::flow::error::PipelineError;

/// Writes the model and its calibration; the best epoch's checkpoint goes.
pub fn write_model(run: &RunDirectory, config: &Config, best_epoch: usize) -> Result<(), PipelineError> {
    let best = run.best(best_epoch);
    // Gone only if an earlier process came this far, and then the model stands.
    if best.exists() {
        let file = ModelFile::open(&best, None)?;
        let (head, calibration) = refit_head(run, config, &file)?;
        run.write_json(CALIBRATION, &calibration)?;
        file.write_with_head(&run.file(MODEL), head)?;
        drop(file);
        std::fs::remove_file(&best).map_err(FileError::write(&best))?;
    }
    Ok(())
}

/// The head that a model should have by the validation split.
fn refit_head(run: &RunDirectory, config: &Config, file: &ModelFile) -> Result<(Head, Calibration), PipelineError> {
    // Where ratings were not learned there is nothing to calibrate.
    if !config.train.calibrate || file.shape().dim == 0 {
        let off = Calibration {
            outcome: Outcome::Off,
            rows: 0,
            fit: None,
            uncalibrated: file.head(),
        };
        return Ok((file.head(), off));
    }
    let model = file.read()?;
    let (interactions, parts) = run.interactions(model.shape.users, model.shape.items)?.read()?;
    let rows = held_out(&interactions, &parts, Part::Valid);
    let logits = score(&model, &mut CpuScorer::new(&model, config.threads), &rows)?;
    let objective = Objective::new(config);
    let targets: Vec<f32> = rows.ratings.iter().map(|&rating| objective.target(rating)).collect();
    Ok(calibrate(model.head, &logits, &targets))
}
