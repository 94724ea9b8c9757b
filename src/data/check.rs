//! One row, checked: ids, a rating on the scale, a moment in time, or what is wrong with it.

use super::fault::{Fault, IngestError, MAX_ID_BYTES, shorten};
use super::readers::{Field, Fields};
use crate::common::calendar::{DAY, day_of};
use crate::common::interaction::RatingScale;
use crate::config::DataConfig;
use std::path::Path;

/// One good row.
pub struct Rating<'a> {
    pub user: Id<'a>,
    pub item: Id<'a>,
    pub value: f32,
    /// Seconds since 1970.
    pub time: Option<i64>,
}

/// An id as text, or a number's decimal text.
pub enum Id<'a> {
    Text(&'a str),
    Decimal(String),
}

impl Id<'_> {
    /// The id as it is kept.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Decimal(text) => text,
        }
    }
}

/// Timestamps from here on are milliseconds: as seconds they lie in the year 5138.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// Tells good rows from bad ones.
pub struct Check {
    scale: RatingScale,
    has_timestamps: bool,
    /// Seconds, the end not included.
    window: Option<std::ops::Range<i64>>,
    /// Whether timestamps are milliseconds; the first good one tells.
    milliseconds: Option<bool>,
    /// Lowest and highest finite rating so far; the lowest is above the highest as long as there is none.
    range: (f32, f32),
}

/// What is wrong with a row, with the offending text.
pub type Bad = (Fault, String);

impl Check {
    /// A check for the rows of one file. Errors if the config wants days and the file has none.
    pub fn new(path: &Path, config: &DataConfig, has_timestamps: bool) -> Result<Self, IngestError> {
        let (since, until) = (day_of(&config.since), day_of(&config.until));
        let key = match (since, until) {
            (Some(_), _) => Some("since"),
            (None, Some(_)) => Some("until"),
            (None, None) => None,
        };
        match key {
            Some(key) if !has_timestamps => Err(IngestError::NoTimestamps {
                path: path.to_path_buf(),
                key,
            }),
            key => Ok(Self {
                scale: config.rating_scale,
                has_timestamps,
                window: key
                    .map(|_| since.map_or(i64::MIN, |day| day * DAY)..until.map_or(i64::MAX, |day| (day + 1) * DAY)),
                milliseconds: None,
                range: (f32::INFINITY, f32::NEG_INFINITY),
            }),
        }
    }

    /// Whether timestamps stand in milliseconds.
    pub fn are_milliseconds(&self) -> bool {
        self.milliseconds == Some(true)
    }

    /// Lowest and highest finite rating so far, on the scale or not.
    pub fn rating_range(&self) -> Option<(f32, f32)> {
        (self.range.0 <= self.range.1).then_some(self.range)
    }

    /// A row's rating; `None` if it is outside the window. Errors with what is wrong with the row.
    pub fn rating<'a>(&mut self, fields: &Fields<'a>) -> Result<Option<Rating<'a>>, Bad> {
        let [user, item, value, time] = fields;
        let user = id("user", user)?;
        let item = id("product", item)?;
        let value = self.value(value)?;
        let time = match self.has_timestamps {
            true => Some(self.time(time)?),
            false => None,
        };
        let is_inside = match (&self.window, &time) {
            (Some(window), Some(time)) => window.contains(time),
            _ => true,
        };
        Ok(is_inside.then_some(Rating {
            user,
            item,
            value,
            time,
        }))
    }

    fn value(&mut self, field: &Field) -> Result<f32, Bad> {
        let value = match field {
            Field::Missing => return Err((Fault::NotANumber, String::new())),
            Field::Integer(number) => *number as f32,
            Field::Number(number) => *number as f32,
            Field::Text(text) => {
                let text = utf8(text)?.trim();
                text.parse().map_err(|_| (Fault::NotANumber, shorten(text)))?
            }
        };
        if value.is_finite() {
            self.range = (self.range.0.min(value), self.range.1.max(value));
        }
        let RatingScale { min, max } = self.scale;
        match self.scale.contains(value) {
            // Minus zero would be a class of its own.
            true => Ok(value + 0.0),
            false => Err((
                Fault::OffTheScale,
                format!("`{}` is off the scale [{min}, {max}]", words(field)),
            )),
        }
    }

    fn time(&mut self, field: &Field) -> Result<i64, Bad> {
        let bad = || {
            (
                Fault::BadTimestamp,
                format!("`{}` is not in whole seconds since 1970", words(field)),
            )
        };
        let time = match field {
            Field::Missing => return Err(bad()),
            Field::Integer(number) => *number,
            Field::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => *number as i64,
            Field::Number(_) => return Err(bad()),
            Field::Text(text) => utf8(text)?.trim().parse().map_err(|_| bad())?,
        };
        if !(0..MILLISECONDS_FROM * 1000).contains(&time) {
            return Err(bad());
        }
        let milliseconds = *self.milliseconds.get_or_insert(time >= MILLISECONDS_FROM);
        match milliseconds {
            // Nothing is known of the time of a 0, in any unit.
            true if time > 0 && time < MILLISECONDS_FROM => Err((
                Fault::BadTimestamp,
                format!("`{time}` is not in milliseconds, as those before it are"),
            )),
            true => Ok(time / 1000),
            false if time >= MILLISECONDS_FROM => Err(bad()),
            false => Ok(time),
        }
    }
}

fn id<'a>(side: &str, field: &Field<'a>) -> Result<Id<'a>, Bad> {
    let text = match field {
        Field::Missing => return Err((Fault::EmptyId, side.to_string())),
        Field::Integer(number) => return Ok(Id::Decimal(number.to_string())),
        Field::Number(number) => return Ok(Id::Decimal(number.to_string())),
        Field::Text(text) => utf8(text)?,
    };
    if text.is_empty() {
        return Err((Fault::EmptyId, side.to_string()));
    }
    if text.len() > MAX_ID_BYTES {
        return Err((Fault::LongId, format!("{side} id has {} bytes", text.len())));
    }
    if text.as_bytes().contains(&0) {
        return Err((Fault::NulByte, side.to_string()));
    }
    Ok(Id::Text(text))
}

fn utf8(text: &[u8]) -> Result<&str, Bad> {
    std::str::from_utf8(text).map_err(|_| (Fault::NotUtf8, String::new()))
}

fn words(field: &Field) -> String {
    match field {
        Field::Missing => String::new(),
        Field::Text(text) => shorten(String::from_utf8_lossy(&text[..text.len().min(200)]).trim()),
        Field::Integer(number) => number.to_string(),
        Field::Number(number) => number.to_string(),
    }
}
