//! A trained model on disk: safetensors that any language reads.
//!
//! `user_embedding` `[users, dim]`, `item_embedding` `[items, dim]`, `user_bias` `[users]`, `item_bias` `[items]`, `scale` `[1]`,
//! `bias` `[1]`, all f32; the scale is above zero. The same seed on the same device gives the same bytes.
//!
//! Where choices were learned there are also `user_choice_embedding` `[users, choice dim]`, `item_choice_embedding`
//! `[items, choice dim]` and `item_appeal` `[items]`. Where nothing else was learned `dim` is 0.

use super::pages::Pages;
use super::tensor_file::{FileError, TensorFile, TensorSpec, TensorWriter};
use crate::common::block::first_not_finite;
use crate::common::hint::Hint;
use crate::common::interaction::{ItemIndex, UserIndex};
use crate::engine::cpu::item_rows::ItemRows;
use crate::engine::model::{Factors, Head, Model, ModelShape, Question, ROW_HEADER, Side, Sides};
use crate::engine::{EngineError, Trainer, for_each_factor_block};
use safetensors::tensor::Dtype;
use std::ops::Range;
use std::path::Path;

/// The model could not be written: the disk or the device failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Hint for ExportError {
    fn hint(&self) -> String {
        match self {
            Self::File(error) => error.hint(),
            Self::Engine(error) => error.hint(),
        }
    }

    fn is_internal(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_internal())
    }
}

/// The tensors of a question, in the order in which they are written: users' and items' embeddings, then their biases.
const RATING: [&str; 4] = ["user_embedding", "item_embedding", "user_bias", "item_bias"];
/// The same of choices; a user has no bias there.
const CHOICE: [&str; 3] = ["user_choice_embedding", "item_choice_embedding", "item_appeal"];

/// The tensors of a model, in the order in which they are written.
fn specs(ModelShape { users, items, dim }: ModelShape, choices: Option<ModelShape>) -> Vec<TensorSpec> {
    let mut specs = vec![
        TensorSpec::new("user_embedding", Dtype::F32, &[users, dim]),
        TensorSpec::new("item_embedding", Dtype::F32, &[items, dim]),
        TensorSpec::new("user_bias", Dtype::F32, &[users]),
        TensorSpec::new("item_bias", Dtype::F32, &[items]),
        TensorSpec::new("scale", Dtype::F32, &[1]),
        TensorSpec::new("bias", Dtype::F32, &[1]),
    ];
    if let Some(shape) = choices {
        specs.extend([
            TensorSpec::new(CHOICE[0], Dtype::F32, &[users, shape.dim]),
            TensorSpec::new(CHOICE[1], Dtype::F32, &[items, shape.dim]),
            TensorSpec::new(CHOICE[2], Dtype::F32, &[items]),
        ]);
    }
    specs
}

/// Streams the model out of an engine, page by page, as it stands after the last step.
///
/// A scale below zero would turn the ranking by affinity around. It is folded into one side, which changes no logit: item
/// embeddings, both biases and the scale change sign.
pub fn write(path: &Path, trainer: &mut dyn Trainer) -> Result<(), ExportError> {
    let choices = trainer.shape(Question::Choice);
    let nothing = choices.map(|shape| ModelShape { dim: 0, ..shape });
    let shape = trainer
        .shape(Question::Rating)
        .or(nothing)
        .expect("a trainer is asked something");
    let head = trainer.head()?.head();
    let sign = if head.scale < 0.0 { -1.0 } else { 1.0 };
    let mut file = TensorWriter::create(path, &specs(shape, choices), None)?;
    let mut biases = Sides([Vec::new(), Vec::new()]);
    let mut weights = Vec::new();
    for side in Side::BOTH {
        let weight_sign = if side == Side::Item { sign } else { 1.0 };
        for_each_factor_block(trainer, Question::Rating, side, |block| {
            weights.clear();
            for row in block.chunks_exact(shape.factor_len()) {
                biases[side].push(sign * row[0]);
                weights.extend(row[ROW_HEADER..].iter().map(|weight| weight_sign * weight));
            }
            file.append_finite(&weights).map_err(ExportError::from)
        })?;
    }
    for (side, biases) in Side::BOTH.into_iter().zip(&mut biases.0) {
        // Of ratings that were not learned there is no bias either.
        biases.resize(shape.rows(side), 0.0);
        file.append_finite(biases)?;
    }
    file.append_finite(&[sign * head.scale, head.bias])?;
    let mut appeals = Vec::new();
    for side in Side::BOTH {
        for_each_factor_block(trainer, Question::Choice, side, |block| {
            weights.clear();
            for row in block.chunks_exact(choices.map_or(1, |shape| shape.factor_len())) {
                if side == Side::Item {
                    appeals.push(row[0]);
                }
                weights.extend_from_slice(&row[ROW_HEADER..]);
            }
            file.append_finite(&weights).map_err(ExportError::from)
        })?;
    }
    file.append_finite(&appeals)?;
    Ok(file.finish()?)
}

/// Which item rows somebody is about to read.
#[derive(Clone, Copy, Debug)]
pub enum Read<'a> {
    All,
    /// In any order, once or more often.
    Only(&'a [ItemIndex]),
}

/// An open model; rows are read where they lie.
pub struct ModelFile {
    file: TensorFile,
    shape: ModelShape,
    choices: Option<ModelShape>,
    head: Head,
}

impl ModelFile {
    /// Opens a model and checks that its tensors fit one another.
    pub fn open(path: &Path, pages: Option<Pages>) -> Result<Self, FileError> {
        let file = TensorFile::open(path, pages)?;
        let users = file.shape::<f32>("user_embedding")?;
        let items = file.shape::<f32>("item_embedding")?;
        let (&[users, dim], &[items, item_dim]) = (users, items) else {
            return Err(FileError::damaged(path, "an embedding is not a table"));
        };
        let choices = match file.has(CHOICE[0]) {
            true => Some(Self::choice_shape(&file, path, users, items)?),
            false => None,
        };
        if dim != item_dim || (dim == 0 && choices.is_none()) || dim % 4 != 0 {
            return Err(FileError::damaged(
                path,
                format!("embeddings of dim {dim} and {item_dim} do not fit"),
            ));
        }
        file.expect::<f32>("user_bias", &[users])?;
        file.expect::<f32>("item_bias", &[items])?;
        let head = Head {
            scale: file.tensor_of::<f32>("scale", &[1])?[0],
            bias: file.tensor_of::<f32>("bias", &[1])?[0],
        };
        if !(head.scale > 0.0 && head.scale.is_finite() && head.bias.is_finite()) {
            return Err(FileError::damaged(
                path,
                format!("scale `{}` and bias `{}` are no head", head.scale, head.bias),
            ));
        }
        Ok(Self {
            file,
            shape: ModelShape { users, items, dim },
            choices,
            head,
        })
    }

    fn choice_shape(file: &TensorFile, path: &Path, users: usize, items: usize) -> Result<ModelShape, FileError> {
        let &[_, dim] = file.shape::<f32>(CHOICE[0])? else {
            return Err(FileError::damaged(path, format!("`{}` is not a table", CHOICE[0])));
        };
        if dim == 0 || dim % 4 != 0 {
            return Err(FileError::damaged(path, format!("choices of dim {dim} do not fit")));
        }
        file.expect::<f32>(CHOICE[0], &[users, dim])?;
        file.expect::<f32>(CHOICE[1], &[items, dim])?;
        file.expect::<f32>(CHOICE[2], &[items])?;
        Ok(ModelShape { users, items, dim })
    }

    /// Users, items, and the dim of what ratings are predicted with; 0 if they were not learned.
    pub fn shape(&self) -> ModelShape {
        self.shape
    }

    /// The same of choices; `None` if they were not learned.
    pub fn choices(&self) -> Option<ModelShape> {
        self.choices
    }

    /// The sigmoid head.
    pub fn head(&self) -> Head {
        self.head
    }

    /// The factor row of one user. Panics if there is no such user.
    pub fn user(&self, user: UserIndex) -> Result<Vec<f32>, FileError> {
        let range = user.index()..user.index() + 1;
        self.factors(RATING[0], Some(RATING[2]), range, self.shape)
    }

    /// What one user chooses by, as a factor row. Panics if there is no such user, or if choices were not learned.
    pub fn user_choice(&self, user: UserIndex) -> Result<Vec<f32>, FileError> {
        let range = user.index()..user.index() + 1;
        self.factors(CHOICE[0], None, range, self.choices.expect("choices were learned"))
    }

    /// All user embeddings of what is ranked by, where they lie, `[users, dim]`, finite or not, and their dim.
    pub fn user_embeddings(&self) -> Result<(&[f32], usize), FileError> {
        let (name, shape) = match self.choices {
            Some(shape) => (CHOICE[0], shape),
            None => (RATING[0], self.shape),
        };
        Ok((self.file.tensor(name)?, shape.dim))
    }

    /// The item rows where they lie, those that are `read` what was written, finite or not: the scorer refuses a score that is
    /// not. The others may be anything, and must not be looked at.
    pub fn item_rows(&self, read: Read) -> Result<ItemRows<'_>, FileError> {
        self.rows(RATING[1], RATING[3], self.shape, read)
    }

    /// What items are chosen by, likewise, an item's appeal for its bias; `None` if choices were not learned.
    pub fn choice_rows(&self, read: Read) -> Result<Option<ItemRows<'_>>, FileError> {
        let rows = |shape| self.rows(CHOICE[1], CHOICE[2], shape, read);
        self.choices.map(rows).transpose()
    }

    fn rows(&self, embedding: &str, bias: &str, shape: ModelShape, read: Read) -> Result<ItemRows<'_>, FileError> {
        let tensors = match read {
            Read::All => (self.file.tensor(embedding)?, self.file.tensor(bias)?),
            Read::Only(items) => {
                let rows = |width: usize| {
                    let rows = items.iter().map(|&item| item.index());
                    rows.map(move |row| row * width..(row + 1) * width)
                };
                (
                    self.file.tensor_read_at(embedding, rows(shape.dim))?,
                    self.file.tensor_read_at(bias, rows(1))?,
                )
            }
        };
        Ok(ItemRows::of_tensors(tensors.0, tensors.1, shape.dim))
    }

    /// All item factor rows.
    pub fn items(&self) -> Result<Vec<f32>, FileError> {
        self.factors(RATING[1], Some(RATING[3]), 0..self.shape.items, self.shape)
    }

    /// The whole model in memory.
    pub fn read(&self) -> Result<Model, FileError> {
        let choices = match self.choices {
            None => None,
            Some(shape) => Some(Factors {
                shape,
                users: self.factors(CHOICE[0], None, 0..shape.users, shape)?,
                items: self.factors(CHOICE[1], Some(CHOICE[2]), 0..shape.items, shape)?,
            }),
        };
        Ok(Model {
            shape: self.shape,
            users: self.factors(RATING[0], Some(RATING[2]), 0..self.shape.users, self.shape)?,
            items: self.items()?,
            head: self.head,
            choices,
        })
    }

    /// Writes the same model with another head. Panics if its scale is not above zero.
    pub fn write_with_head(&self, path: &Path, head: Head) -> Result<(), FileError> {
        assert!(head.scale > 0.0, "write_with_head: a scale of {}", head.scale);
        let mut file = TensorWriter::create(path, &specs(self.shape, self.choices), None)?;
        let copy = |file: &mut TensorWriter, names: &[&str]| {
            for name in names {
                for block in self.file.tensor::<f32>(name)?.chunks(1 << 20) {
                    file.append_finite(block)?;
                }
            }
            Ok::<(), FileError>(())
        };
        copy(&mut file, &RATING)?;
        file.append_finite(&[head.scale, head.bias])?;
        if self.choices.is_some() {
            copy(&mut file, &CHOICE)?;
        }
        file.finish()
    }

    /// Rows as factor rows; errors on a number that is not finite.
    fn factors(
        &self,
        embedding: &str,
        bias: Option<&str>,
        rows: Range<usize>,
        shape: ModelShape,
    ) -> Result<Vec<f32>, FileError> {
        let dim = shape.dim;
        let weights = self.file.part::<f32>(embedding, rows.start * dim..rows.end * dim)?;
        let biases = bias.map(|bias| self.file.part::<f32>(bias, rows.clone())).transpose()?;
        let mut factors = Vec::with_capacity(rows.len() * shape.factor_len());
        for row in 0..rows.len() {
            factors.extend([biases.map_or(0.0, |biases| biases[row]), 0.0, 0.0, 0.0]);
            factors.extend_from_slice(&weights[row * dim..(row + 1) * dim]);
        }
        if first_not_finite(&factors).is_some() {
            return Err(FileError::damaged(
                self.file.path(),
                format!("`{embedding}` holds a number that is not finite"),
            ));
        }
        Ok(factors)
    }
}
