//! Sections: how a key is declared, in one place: what it means, what it is by default, and what it may be.

use super::values::{Column, Threshold};
use crate::common::interaction::RatingScale;

/// Declares a section: each key with its type, its default and its [`Range`].
macro_rules! section {
    ($(#[$about:meta])* $section:ident { $($(#[$doc:meta])* $key:ident: $kind:ty = $default:expr, $range:expr;)+ }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct $section {
            $($(#[$doc])* pub $key: $kind,)+
        }

        impl Default for $section {
            fn default() -> Self {
                Self {
                    $($key: $default,)+
                }
            }
        }

        impl Section for $section {
            fn out_of_range(&self) -> Option<OutOfRange> {
                None$(.or_else(|| Some($range.refusal(&self.$key)?.below(stringify!($key)))))+
            }
        }
    };
}
pub(super) use section;

/// Keys that stand together.
pub trait Section {
    /// The first key whose value is outside its range.
    fn out_of_range(&self) -> Option<OutOfRange>;
}

/// A value that a key may not have.
#[derive(Clone, Debug, PartialEq)]
pub struct OutOfRange {
    /// From the section that refuses it on; empty for a value by itself.
    pub key: String,
    /// What was found, and what was wanted.
    pub message: String,
}

impl OutOfRange {
    /// The same of a key that stands below another.
    pub fn below(self, section: &str) -> Self {
        let key = match self.key.is_empty() {
            true => section.to_string(),
            false => format!("{section}.{}", self.key),
        };
        Self { key, ..self }
    }
}

/// What values of a key may be.
pub trait Range<T> {
    /// What is wrong with a value, if something is.
    fn refusal(&self, value: &T) -> Option<OutOfRange>;
}

/// Whatever the type allows.
pub struct Any;

impl<T> Range<T> for Any {
    fn refusal(&self, _: &T) -> Option<OutOfRange> {
        None
    }
}

/// What other keys leave: [`super::check`] knows.
pub use Any as Depends;

/// What the keys of a section may be.
pub struct Keys;

impl<T: Section> Range<T> for Keys {
    fn refusal(&self, section: &T) -> Option<OutOfRange> {
        section.out_of_range()
    }
}

/// Where something holds, and how that is said.
pub struct Where<T>(pub fn(&T) -> bool, pub &'static str);

impl<T: Found> Range<T> for Where<T> {
    fn refusal(&self, value: &T) -> Option<OutOfRange> {
        let Self(holds, wanted) = self;
        let refusal = || OutOfRange {
            key: String::new(),
            message: format!("found `{}`, wanted {wanted}", value.found()),
        };
        (!holds(value)).then(refusal)
    }
}

/// All that is not refused, in words of its own.
pub struct Unless<T>(pub fn(&T) -> Option<String>);

impl<T> Range<T> for Unless<T> {
    fn refusal(&self, value: &T) -> Option<OutOfRange> {
        let message = self.0(value)?;
        let key = String::new();
        Some(OutOfRange { key, message })
    }
}

/// A value as errors name it.
pub trait Found {
    fn found(&self) -> String;
}

macro_rules! found_as_displayed {
    ($($kind:ty),+) => {
        $(impl Found for $kind {
            fn found(&self) -> String {
                self.to_string()
            }
        })+
    };
}
found_as_displayed!(f32, f64, usize, String);

impl<T: std::fmt::Debug> Found for Vec<T> {
    fn found(&self) -> String {
        format!("{self:?}")
    }
}

impl Found for RatingScale {
    fn found(&self) -> String {
        format!("[{}, {}]", self.min, self.max)
    }
}

impl Found for Column {
    fn found(&self) -> String {
        match self {
            Self::Auto => "auto".to_string(),
            Self::Number(number) => number.to_string(),
            Self::Name(name) => name.clone(),
        }
    }
}

impl Found for Threshold {
    fn found(&self) -> String {
        match self {
            Self::Relevant => "relevant".to_string(),
            Self::Score(score) => score.to_string(),
        }
    }
}
