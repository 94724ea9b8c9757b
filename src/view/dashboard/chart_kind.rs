//! Which picture the chart is.

/// Which picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChartKind {
    #[default]
    Loss,
    /// Precision beside its base rate: alone it says nothing.
    Precision,
    Recall,
    Auc,
    Speed,
    LearningRate,
}

impl ChartKind {
    /// In the order in which they come round.
    pub const ALL: [Self; 6] = [
        Self::Loss,
        Self::Precision,
        Self::Recall,
        Self::Auc,
        Self::Speed,
        Self::LearningRate,
    ];

    /// The one after this.
    pub fn next(self) -> Self {
        Self::ALL[(self as usize + 1) % Self::ALL.len()]
    }

    /// The one before this.
    pub fn previous(self) -> Self {
        Self::ALL[(self as usize + Self::ALL.len() - 1) % Self::ALL.len()]
    }

    /// What stands above it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Precision => "precision, %",
            Self::Recall => "recall, %",
            Self::Auc => "AUC",
            Self::Speed => "samples/s",
            Self::LearningRate => "learning rate",
        }
    }
}
