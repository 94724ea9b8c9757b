//! A training as TensorBoard reads it: an event file of scalars, written as they come.
//!
//! Beside `metrics.jsonl`, and only where somebody asks for it. Each process writes a file of its own; TensorBoard joins those of
//! one folder, and a resumed process says from which step on its figures replace earlier ones.

mod message;
mod record;

use crate::train::event::{Lost, Observer, TrainEvent, ValidMetrics};
use message::{Body, event};
use record::framed;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes scalars by step: `loss/train`, `loss/valid`, `valid/precision` and its fellows, `learning_rate`, `memory_mib`.
pub struct TensorBoard {
    file: File,
    has_begun: bool,
    lost: Lost,
}

impl TensorBoard {
    /// Begins a new file in `folder`, which is made.
    ///
    /// # Errors
    ///
    /// If the folder or the file cannot be made.
    pub fn create(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // TensorBoard reads what has `tfevents` in its name, in the order of names.
        let name = format!(
            "events.out.tfevents.{:010}.{:09}.dotcart",
            now.as_secs(),
            now.subsec_nanos()
        );
        let mut board = Self {
            file: File::create_new(folder.join(name))?,
            has_begun: false,
            lost: Lost::at(&folder.display().to_string()),
        };
        board
            .file
            .write_all(&framed(&event(wall_time(), 0, Body::FileVersion)))?;
        Ok(board)
    }

    fn write(&mut self, step: u32, body: Body) {
        let result = self.file.write_all(&framed(&event(wall_time(), step.into(), body)));
        self.lost.count(&result);
    }

    fn scalars(&mut self, step: u32, scalars: &[(&str, f64)]) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.write(step, Body::SessionStart);
        }
        let scalars: Vec<(&str, f32)> = scalars.iter().map(|(tag, value)| (*tag, *value as f32)).collect();
        self.write(step, Body::Scalars(&scalars));
    }
}

impl Observer for TensorBoard {
    fn observe(&mut self, event: &TrainEvent) {
        match event {
            TrainEvent::Progress { step, loss, .. } => self.scalars(*step, &[("loss/train", *loss)]),
            TrainEvent::Validated { step, metrics, .. } => {
                let lift = metrics.lift();
                let ValidMetrics {
                    loss,
                    precision,
                    base_rate,
                    recall,
                    auc,
                    ranking,
                } = *metrics;
                let mut scalars = vec![
                    ("loss/valid", loss),
                    ("valid/precision", precision),
                    ("valid/base_rate", base_rate),
                    ("valid/lift", lift),
                    ("valid/recall", recall),
                    ("valid/AUC", auc),
                ];
                if let Some(ranking) = ranking {
                    scalars.push(("valid/NDCG", ranking.ndcg));
                    scalars.push(("valid/NDCG_most_popular", ranking.popular_ndcg));
                }
                self.scalars(*step, &scalars);
            }
            TrainEvent::Measured {
                step,
                learning_rate,
                memory_bytes,
                ..
            } => {
                let mut scalars = vec![("learning_rate", *learning_rate)];
                scalars.extend(memory_bytes.map(|bytes| ("memory_mib", bytes as f64 / f64::from(1 << 20))));
                self.scalars(*step, &scalars);
            }
            _ => {}
        }
    }

    fn lost(&mut self) -> Option<&mut Lost> {
        Some(&mut self.lost)
    }
}

fn wall_time() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}
