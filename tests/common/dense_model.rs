//! The model as anyone would write it in burn: dense tables, autodiff. The engines are held against it, and timed against it.
//!
//! Shared by test targets with `#[path]`.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};
use dotcart::engine::model::{ModelShape, Side};

#[derive(Module, Debug)]
pub struct DenseModel {
    pub user_embedding: Param<Tensor<2>>,
    pub item_embedding: Param<Tensor<2>>,
    pub user_bias: Param<Tensor<1>>,
    pub item_bias: Param<Tensor<1>>,
    pub scale: Param<Tensor<1>>,
    pub bias: Param<Tensor<1>>,
}

impl DenseModel {
    /// Begins with the given embeddings, `[rows, dim]`, and without biases.
    pub fn new(shape: &ModelShape, embedding: impl Fn(Side) -> Tensor<2>, device: &Device) -> Self {
        let bias = |rows| Param::from_tensor(Tensor::zeros([rows], device));
        Self {
            user_embedding: Param::from_tensor(embedding(Side::User)),
            item_embedding: Param::from_tensor(embedding(Side::Item)),
            user_bias: bias(shape.users),
            item_bias: bias(shape.items),
            scale: Param::from_tensor(Tensor::ones([1], device)),
            bias: bias(1),
        }
    }

    /// The loss of each sample, all of shape `[batch]`.
    pub fn losses(&self, users: Tensor<1, Int>, items: Tensor<1, Int>, targets: Tensor<1>) -> Tensor<1> {
        let user_rows = self.user_embedding.val().select(0, users.clone());
        let item_rows = self.item_embedding.val().select(0, items.clone());
        let affinity = (user_rows * item_rows).sum_dim(1).squeeze_dim::<1>(1)
            + self.user_bias.val().select(0, users)
            + self.item_bias.val().select(0, items);
        let z = affinity * self.scale.val() + self.bias.val();
        z.clone().clamp_min(0.0) - z.clone() * targets + z.abs().neg().exp().log1p()
    }
}
