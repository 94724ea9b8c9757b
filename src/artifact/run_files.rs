//! What a run holds of its ratings and its model, open at once, each file checked against the others.
//!
//! A manifest vouches for each file by itself. That they belong together is checked here: numbers of users and products when
//! they are opened, rows and counts where they are read.

use super::interactions_file::InteractionsFile;
use super::model_file::ModelFile;
use super::pages::PageDigests;
use super::run_directory::{INTERACTIONS, MODEL, PRODUCTS, RunDirectory, USERS};
use super::tensor_file::FileError;
use super::vocabulary_file::VocabularyFile;
use crate::common::interaction::{DenseIndex, ItemIndex, Part, UserIndex};
use crate::data::interactions::Interactions;

/// The open files of a run.
pub struct RunFiles {
    pub users: VocabularyFile<UserIndex>,
    pub products: VocabularyFile<ItemIndex>,
    pub model: ModelFile,
    pub rows: InteractionsFile,
}

impl RunFiles {
    /// Opens the files; what is in them is read where it lies, when it is asked for.
    pub(super) fn open(run: &RunDirectory, pages: &PageDigests) -> Result<Self, FileError> {
        let users = VocabularyFile::open(&run.file(USERS), pages.of(USERS))?;
        let products = VocabularyFile::open(&run.file(PRODUCTS), pages.of(PRODUCTS))?;
        let model = ModelFile::open(&run.file(MODEL), pages.of(MODEL))?;
        let shape = model.shape();
        if (users.len(), products.len()) != (shape.users, shape.items) {
            let fault = format!(
                "it has {} users and {} products, the vocabularies {} and {}",
                shape.users,
                shape.items,
                users.len(),
                products.len()
            );
            return Err(FileError::damaged(&run.file(MODEL), fault));
        }
        let path = run.file(INTERACTIONS);
        let rows = InteractionsFile::open(&path, shape.users, shape.items, pages.of(INTERACTIONS))?;
        Ok(Self {
            users,
            products,
            model,
            rows,
        })
    }

    /// All rows with their parts. Errors if the vocabularies count other training ratings than there are.
    pub fn read_rows(&self) -> Result<(Interactions, Vec<u8>), FileError> {
        let (interactions, parts) = self.rows.read()?;
        check_counts(&self.users, &interactions.users, &parts)?;
        check_counts(&self.products, &interactions.items, &parts)?;
        Ok((interactions, parts))
    }
}

/// Errors if a vocabulary counts other training ratings than the rows with these indices and parts are.
fn check_counts<Index: DenseIndex>(
    vocabulary: &VocabularyFile<Index>,
    indices: &[Index],
    parts: &[u8],
) -> Result<(), FileError> {
    let mut counts = vec![0; vocabulary.len()];
    for (index, _) in indices
        .iter()
        .zip(parts)
        .filter(|(_, part)| **part == Part::Train as u8)
    {
        counts[index.index()] += 1;
    }
    let differs = counts
        .iter()
        .zip(vocabulary.train_ratings()?)
        .position(|(rows, told)| rows != told);
    if let Some(index) = differs {
        let fault = format!("it counts other training ratings of index {index} than `{INTERACTIONS}` has");
        return Err(FileError::damaged(vocabulary.path(), fault));
    }
    Ok(())
}
