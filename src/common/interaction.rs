//! The words that every stage shares: dense indices, one interaction, and which split a row belongs to.

use serde::{Deserialize, Serialize};

/// Dense index of a user, `0..users`, in order of first appearance in the file.
pub type UserIndex = u32;
/// Dense index of an item (the command line says *product*), `0..items`, in order of first appearance.
pub type ItemIndex = u32;

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
