//! `dotcart export`: what a run holds, as files that other programs read.

use super::args::{EmbeddingsReader, ExportArguments, ExportWhat};
use super::output::Output;
use super::{CommandResult, End};
use dotcart::artifact::embeddings::{Form, export_embeddings};
use dotcart::artifact::export::export_splits;
use dotcart::artifact::run_directory::RunDirectory;
use dotcart::common::format::count;

pub fn run(arguments: &ExportArguments, output: &mut Output) -> CommandResult {
    let run = match &arguments.what {
        ExportWhat::Splits(splits) => &splits.run,
        ExportWhat::Embeddings(embeddings) => &embeddings.run,
    };
    let run = RunDirectory::find(Some(run))?;
    run.verify()?;
    let (written, of) = match &arguments.what {
        ExportWhat::Splits(splits) => (export_splits(&run, &splits.out, splits.force)?, "ratings"),
        ExportWhat::Embeddings(embeddings) => {
            let form = match embeddings.reader {
                EmbeddingsReader::Faiss | EmbeddingsReader::Hnswlib | EmbeddingsReader::Npy => Form::Npy,
                EmbeddingsReader::Parquet => Form::Parquet,
            };
            let written = export_embeddings(&run, form, &embeddings.out, embeddings.force)?;
            (written, "vectors")
        }
    };
    for (path, rows) in written {
        output.talk(&format!("{}: {} {of}", path.display(), count(rows)));
    }
    Ok(End::Done)
}
