//! Choices: the loss that asks which of all items a user takes up, and its gradient.
//!
//! ```text
//! a(u, i)  = dot(user[u], item[i]) + appeal[i]
//!
//! softmax    loss = -a(u, i) + ln( exp(a(u, i)) + sum over drawn j of exp(a(u, j) + offset[j]) ),  offset = ln(count / (m q))
//! bpr        loss = sum over drawn j of offset[j] softplus(a(u, j) - a(u, i)),                      offset = count / m
//! bce        loss = softplus(-a(u, i)) + sum over drawn j of offset[j] softplus(a(u, j)),           offset = count / m
//!
//! choice loss = share * mean over the batch of choice[b] * ( loss[b] + l2 (|user|^2 + |item|^2) )
//! ```
//!
//! m items are drawn with replacement for a whole step, j with probability `q[j]` in proportion to (its training ratings +
//! 1)^popularity; drawn several times it stands once, with its count. The offset of softmax makes the sum over the drawn items
//! an estimate of that over all. Where all items are asked for, each stands once with the offset 0 (softmax) or 1 / items.
//!
//! The appeal itself is not drawn to zero by l2: how often an item is chosen is what the ratings say best. A drawn item that
//! the user did choose is not left out: it would be one of hundreds.
//!
//! For a user, all that the drawn items add to the loss of each of their samples is a function of the same row of scores; so
//! scores, and the gradients on both sides, are three products of matrices: S = U D', dU = G D, dD = G' U with U the batch's
//! users, each once, and D the drawn items.
//!
//! Sources: sampled softmax: Y. Bengio, J.-S. Senecal, IEEE Trans. Neural Networks 19 (2008); bpr: S. Rendle et al.,
//! arXiv:1205.2618; in recommenders: J. Wu et al., arXiv:2201.02327.

use crate::config::ChoiceLoss;

/// The appeal of what fills up a row of scores: below any other, and no user is drawn to it.
pub const FILLER: f32 = -1e30;

/// What an engine has to know to learn choices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChoiceSetup {
    pub dim: usize,
    pub loss: ChoiceLoss,
    /// Share of the loss, above 0.
    pub share: f32,
}
