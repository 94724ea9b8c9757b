//! The words that every stage shares: dense indices, one interaction, and which split a row belongs to.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What users and items are numbered with, for what is the same for both.
///
/// A column of it has the bytes of a column of u32.
pub trait DenseIndex: bytemuck::Pod + Ord + Send + Sync {
    /// Of a number that is known to be of this kind.
    fn new(number: u32) -> Self;

    /// The bare number.
    fn number(self) -> u32;

    /// As a place among all of its kind.
    fn index(self) -> usize {
        self.number() as usize
    }
}

/// A number of a kind of its own, so that no other is taken for it.
macro_rules! dense_index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, bytemuck::Pod, bytemuck::Zeroable)]
        #[repr(transparent)]
        pub struct $name(pub u32);

        impl $name {
            /// As a place among all of its kind.
            #[inline(always)]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl DenseIndex for $name {
            #[inline(always)]
            fn new(number: u32) -> Self {
                Self(number)
            }

            #[inline(always)]
            fn number(self) -> u32 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

dense_index! {
    /// Dense index of a user, `0..users`, in order of first appearance in the file.
    UserIndex
}

dense_index! {
    /// Dense index of an item (the command line says *product*), `0..items`, in order of first appearance.
    ItemIndex
}

/// One rating that one user gave to one item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interaction {
    pub user: UserIndex,
    pub item: ItemIndex,
    /// On the scale of the file, for example 1 to 5.
    pub rating: f32,
    /// Seconds since 1970, where the file has them.
    pub timestamp: Option<i64>,
}

/// The part of the data a row belongs to; stored as one byte a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Part {
    Train = 0,
    Valid = 1,
    Test = 2,
}

impl Part {
    /// The part of a stored byte, or `None` if the byte means nothing.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Train, Self::Valid, Self::Test]
            .into_iter()
            .find(|part| *part as u8 == byte)
    }

    /// Lower-case name, as in configs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        }
    }
}

/// The interval that ratings live in, and its two-way map to targets in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f32; 2]", into = "[f32; 2]")]
pub struct RatingScale {
    pub min: f32,
    pub max: f32,
}

impl RatingScale {
    /// `(rating - min) / (max - min)`.
    pub fn to_unit(self, rating: f32) -> f32 {
        (rating - self.min) / (self.max - self.min)
    }

    /// `min + score * (max - min)`: the predicted rating of a score.
    pub fn from_unit(self, score: f32) -> f32 {
        self.min + score * (self.max - self.min)
    }

    /// Whether `rating` lies on the scale; false for NaN.
    pub fn contains(self, rating: f32) -> bool {
        rating >= self.min && rating <= self.max
    }
}

impl From<[f32; 2]> for RatingScale {
    fn from([min, max]: [f32; 2]) -> Self {
        Self { min, max }
    }
}

impl From<RatingScale> for [f32; 2] {
    fn from(scale: RatingScale) -> Self {
        [scale.min, scale.max]
    }
}
