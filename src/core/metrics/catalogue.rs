//! What rankings do to the catalogue: how much of it is ever shown, and how unusual that is.
//!
//! ```text
//! coverage = different products shown / products there are
//! novelty  = mean over products shown of -log2(its training ratings / all training ratings)
//! ```
//!
//! A product without a training rating has no novelty and is left out of that mean. Definitions as in Microsoft's recommenders
//! (`catalog_coverage`, `novelty`); novelty after Castells, Vargas and Wang 2011.

use crate::common::interaction::ItemIndex;

/// Products shown so far.
#[derive(Clone, Debug)]
pub struct Shown<'a> {
    train_ratings: &'a [u32],
    all: f64,
    is_shown: Vec<bool>,
    information: f64,
    counted: usize,
}

impl<'a> Shown<'a> {
    /// Nothing shown yet of a catalogue with so many training ratings a product.
    pub fn new(train_ratings: &'a [u32]) -> Self {
        Self {
            train_ratings,
            all: train_ratings.iter().map(|&count| f64::from(count)).sum(),
            is_shown: vec![false; train_ratings.len()],
            information: 0.0,
            counted: 0,
        }
    }

    /// Shows a product. Panics if it is not in the catalogue.
    pub fn show(&mut self, item: ItemIndex) {
        self.is_shown[item.index()] = true;
        let count = self.train_ratings[item.index()];
        if count > 0 {
            self.information -= (f64::from(count) / self.all).log2();
            self.counted += 1;
        }
    }

    /// Share of the catalogue that was shown; `None` for an empty one.
    pub fn coverage(&self) -> Option<f64> {
        let shown = self.is_shown.iter().filter(|shown| **shown).count();
        (!self.is_shown.is_empty()).then(|| shown as f64 / self.is_shown.len() as f64)
    }

    /// Mean self-information of what was shown, in bits; `None` if nothing of it has a training rating.
    pub fn novelty(&self) -> Option<f64> {
        (self.counted > 0).then(|| self.information / self.counted as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_nobody_rated_is_covered_but_not_novel() {
        let mut shown = Shown::new(&[3, 1, 0, 0]);
        assert_eq!((shown.coverage(), shown.novelty()), (Some(0.0), None));
        shown.show(ItemIndex(2));
        assert_eq!((shown.coverage(), shown.novelty()), (Some(0.25), None));
        shown.show(ItemIndex(1));
        shown.show(ItemIndex(1));
        assert_eq!((shown.coverage(), shown.novelty()), (Some(0.5), Some(2.0)));
    }
}
