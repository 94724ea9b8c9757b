//! A trained model on disk: safetensors that any language reads.
//!
//! `user_embedding` `[users, dim]`, `item_embedding` `[items, dim]`, `user_bias` `[users]`, `item_bias` `[items]`, `scale` `[1]`,
//! `bias` `[1]`, all f32; the scale is above zero. The same seed on the same device gives the same bytes.

use super::tensor_file::{FileError, TensorFile, TensorSpec, TensorWriter};
use crate::common::hint::Hint;
use crate::common::interaction::UserIndex;
use crate::engine::cpu::item_rows::ItemRows;
use crate::engine::model::{Head, Model, ModelShape, ROW_HEADER, Side};
use crate::engine::{EngineError, Trainer, for_each_factor_block};
use safetensors::tensor::Dtype;
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

/// The tensors of a model, in the order in which they are written.
fn specs(ModelShape { users, items, dim }: ModelShape) -> [TensorSpec; 6] {
    [
        TensorSpec::new("user_embedding", Dtype::F32, &[users, dim]),
        TensorSpec::new("item_embedding", Dtype::F32, &[items, dim]),
        TensorSpec::new("user_bias", Dtype::F32, &[users]),
        TensorSpec::new("item_bias", Dtype::F32, &[items]),
        TensorSpec::new("scale", Dtype::F32, &[1]),
        TensorSpec::new("bias", Dtype::F32, &[1]),
    ]
}

/// Streams the model out of an engine, page by page, as it stands after the last step.
///
/// A scale below zero would turn the ranking by affinity around. It is folded into one side, which changes no logit: item
/// embeddings, both biases and the scale change sign.
pub fn write(path: &Path, trainer: &mut dyn Trainer) -> Result<(), ExportError> {
    let shape = trainer.shape();
    let dim = shape.dim;
    let head = trainer.head()?;
    let sign = if head[0] < 0.0 { -1.0 } else { 1.0 };
    let mut file = TensorWriter::create(path, &specs(shape), None)?;
    let mut biases = [Vec::new(), Vec::new()];
    let mut weights = Vec::new();
    for side in Side::BOTH {
        let weight_sign = if side == Side::Item { sign } else { 1.0 };
        for_each_factor_block(trainer, side, |block| {
            weights.clear();
            for row in block.chunks_exact(ROW_HEADER + dim) {
                biases[side as usize].push(sign * row[0]);
                weights.extend(row[ROW_HEADER..].iter().map(|weight| weight_sign * weight));
            }
            file.append_finite(&weights).map_err(ExportError::from)
        })?;
    }
    file.append_finite(&biases[0])?;
    file.append_finite(&biases[1])?;
    file.append_finite(&[sign * head[0], head[4]])?;
    Ok(file.finish()?)
}

/// An open model; rows are read where they lie.
pub struct ModelFile {
    file: TensorFile,
    shape: ModelShape,
    head: Head,
}

impl ModelFile {
    /// Opens a model and checks that its tensors fit one another.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let file = TensorFile::open(path)?;
        let (_, users) = file.tensor::<f32>("user_embedding")?;
        let (_, items) = file.tensor::<f32>("item_embedding")?;
        let (&[users, dim], &[items, item_dim]) = (users, items) else {
            return Err(FileError::damaged(path, "an embedding is not a table"));
        };
        if dim != item_dim || dim == 0 || dim % 4 != 0 {
            return Err(FileError::damaged(
                path,
                format!("embeddings of dim {dim} and {item_dim} do not fit"),
            ));
        }
        file.tensor_of::<f32>("user_bias", &[users])?;
        file.tensor_of::<f32>("item_bias", &[items])?;
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
            head,
        })
    }

    /// Users, items, dim.
    pub fn shape(&self) -> ModelShape {
        self.shape
    }

    /// The sigmoid head.
    pub fn head(&self) -> Head {
        self.head
    }

    /// The factor row of one user. Panics if there is no such user.
    pub fn user(&self, user: UserIndex) -> Result<Vec<f32>, FileError> {
        let range = user as usize..user as usize + 1;
        self.factors("user_embedding", "user_bias", range)
    }

    /// All user embeddings where they lie, `[users, dim]`, not checked.
    pub fn user_embeddings(&self) -> Result<&[f32], FileError> {
        Ok(self.file.tensor::<f32>("user_embedding")?.0)
    }

    /// The item rows where they lie, not checked: the scorer refuses a score that is not finite.
    pub fn item_rows(&self) -> Result<ItemRows<'_>, FileError> {
        let (weights, _) = self.file.tensor::<f32>("item_embedding")?;
        let (biases, _) = self.file.tensor::<f32>("item_bias")?;
        if biases.len() != self.shape.items {
            return Err(FileError::damaged(self.file.path(), "`item_bias` does not fit"));
        }
        Ok(ItemRows::of_tensors(weights, biases, self.shape.dim))
    }

    /// All item factor rows.
    pub fn items(&self) -> Result<Vec<f32>, FileError> {
        self.factors("item_embedding", "item_bias", 0..self.shape.items)
    }

    /// The whole model in memory.
    pub fn read(&self) -> Result<Model, FileError> {
        Ok(Model {
            shape: self.shape,
            users: self.factors("user_embedding", "user_bias", 0..self.shape.users)?,
            items: self.items()?,
            head: self.head,
        })
    }

    /// Writes the same model with another head. Panics if its scale is not above zero.
    pub fn write_with_head(&self, path: &Path, head: Head) -> Result<(), FileError> {
        assert!(head.scale > 0.0, "write_with_head: a scale of {}", head.scale);
        let mut file = TensorWriter::create(path, &specs(self.shape), None)?;
        for name in ["user_embedding", "item_embedding", "user_bias", "item_bias"] {
            for block in self.file.tensor::<f32>(name)?.0.chunks(1 << 20) {
                file.append_finite(block)?;
            }
        }
        file.append_finite(&[head.scale, head.bias])?;
        file.finish()
    }

    /// Rows as factor rows; errors on a number that is not finite.
    fn factors(&self, embedding: &str, bias: &str, rows: std::ops::Range<usize>) -> Result<Vec<f32>, FileError> {
        let dim = self.shape.dim;
        let (weights, _) = self.file.tensor::<f32>(embedding)?;
        let (biases, _) = self.file.tensor::<f32>(bias)?;
        let mut factors = Vec::with_capacity(rows.len() * self.shape.factor_len());
        for row in rows.clone() {
            factors.extend([biases[row], 0.0, 0.0, 0.0]);
            factors.extend_from_slice(&weights[row * dim..(row + 1) * dim]);
        }
        if factors.iter().any(|value| !value.is_finite()) {
            return Err(FileError::damaged(
                self.file.path(),
                format!("`{embedding}` holds a number that is not finite"),
            ));
        }
        Ok(factors)
    }
}
