//! One row, checked: ids, a rating on the scale or a count, a moment in time, or what is wrong with it.

use super::columns::Values;
use super::fault::{Fault, IngestError, MAX_ID_BYTES, shorten};
use super::readers::{Field, Fields};
use super::report::TimeUnit;
use crate::common::calendar::{DAY, day_of, moment_of};
use crate::common::interaction::RatingScale;
use crate::config::{DataConfig, Decimal};
use std::path::Path;

/// One good row.
pub struct Rating<'a> {
    pub user: Id<'a>,
    pub item: Id<'a>,
    /// A rating, or how often it was chosen.
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

/// What a row comes to that is not bad.
pub enum Checked<'a> {
    Rating(Rating<'a>),
    /// Its time is not wanted.
    OutsideWindow,
    /// Its value stands for "not rated".
    Unrated,
}

/// Distinct values off the scale that are remembered for the hint.
const OFF_SCALE_KEPT: usize = 64;

/// Where scales usually end, ascending, the highest left out: nothing is above it.
const TOPS: [f32; 3] = [1.0, 5.0, 10.0];

/// Tells good rows from bad ones.
pub struct Check {
    values: Values,
    scale: RatingScale,
    unrated: Vec<f32>,
    decimal: Decimal,
    missing: MissingIds,
    has_timestamps: bool,
    /// Seconds, the end not included.
    window: Option<std::ops::Range<i64>>,
    /// Of timestamps that are numbers; the first good one tells.
    unit: Option<TimeUnit>,
    /// Lowest and highest finite rating so far; the lowest is above the highest as long as there is none.
    range: (f32, f32),
    off_scale: Vec<f32>,
    /// Rows whose rating is off the scale and above each of [`TOPS`].
    above: [usize; TOPS.len()],
}

/// What is wrong with a row, with the offending text.
pub type Bad = (Fault, String);

impl Check {
    /// A check for the rows of one table, whose third field holds `values`; `commas`: a comma may stand before the fraction of a
    /// number. Errors if the config wants days and the table has none.
    pub fn new(
        path: &Path,
        config: &DataConfig,
        values: Values,
        has_timestamps: bool,
        commas: bool,
    ) -> Result<Self, IngestError> {
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
                values,
                scale: config.rating_scale,
                unrated: config.unrated.clone(),
                decimal: match config.decimal {
                    Decimal::Auto if !commas => Decimal::Point,
                    decimal => decimal,
                },
                missing: MissingIds::new(&config.missing_ids),
                has_timestamps,
                window: key
                    .map(|_| since.map_or(i64::MIN, |day| day * DAY)..until.map_or(i64::MAX, |day| (day + 1) * DAY)),
                unit: None,
                range: (f32::INFINITY, f32::NEG_INFINITY),
                off_scale: Vec::new(),
                above: [0; TOPS.len()],
            }),
        }
    }

    /// The unit of timestamps that are numbers; `None` if there was none.
    pub fn time_unit(&self) -> Option<TimeUnit> {
        self.unit
    }

    /// Lowest and highest finite rating so far, on the scale or not.
    pub fn rating_range(&self) -> Option<(f32, f32)> {
        (self.range.0 <= self.range.1).then_some(self.range)
    }

    /// Distinct finite ratings off the scale, in order of appearance; the first of many.
    pub fn off_scale(&self) -> &[f32] {
        &self.off_scale
    }

    /// Ends of usual scales, ascending, and the rows that are off the scale and above each.
    pub fn above(&self) -> impl Iterator<Item = (f32, usize)> {
        TOPS.into_iter().zip(self.above)
    }

    /// What a row says. Errors with what is wrong with it.
    pub fn row<'a>(&mut self, fields: &Fields<'a>) -> Result<Checked<'a>, Bad> {
        let [user, item, value, time] = fields;
        let user = self.id("user", user)?;
        let item = self.id("product", item)?;
        let value = match self.values {
            Values::Ratings => match self.rating(value)? {
                Some(value) => value,
                None => return Ok(Checked::Unrated),
            },
            Values::Counts => match self.count(value)? {
                Some(value) => value,
                None => return Ok(Checked::Unrated),
            },
            Values::Choices => 1.0,
        };
        let time = match self.has_timestamps {
            true => Some(self.time(time)?),
            false => None,
        };
        let is_inside = match (&self.window, &time) {
            (Some(window), Some(time)) => window.contains(time),
            _ => true,
        };
        Ok(match is_inside {
            true => Checked::Rating(Rating {
                user,
                item,
                value,
                time,
            }),
            false => Checked::OutsideWindow,
        })
    }

    /// `None` if the value stands for "not rated".
    fn rating(&mut self, field: &Field) -> Result<Option<f32>, Bad> {
        let value = self.number(field)?;
        if self.unrated.contains(&value) {
            return Ok(None);
        }
        if value.is_finite() {
            self.range = (self.range.0.min(value), self.range.1.max(value));
        }
        let RatingScale { min, max } = self.scale;
        if self.scale.contains(value) {
            // Minus zero would be a class of its own.
            return Ok(Some(value + 0.0));
        }
        if value.is_finite() {
            let is_known = self.off_scale.contains(&value);
            if !is_known && self.off_scale.len() < OFF_SCALE_KEPT {
                self.off_scale.push(value);
            }
            for (top, rows) in TOPS.iter().zip(&mut self.above) {
                *rows += usize::from(value > *top);
            }
        }
        Err((
            Fault::OffTheScale,
            format!("`{}` is off the scale [{min}, {max}]", words(field)),
        ))
    }

    /// `None` if the value stands for "not chosen".
    fn count(&mut self, field: &Field) -> Result<Option<f32>, Bad> {
        let value = self.number(field).map_err(|(fault, example)| match fault {
            Fault::NotANumber => (Fault::NotACount, example),
            fault => (fault, example),
        })?;
        if self.unrated.contains(&value) {
            return Ok(None);
        }
        match value > 0.0 && value.is_finite() {
            true => Ok(Some(value)),
            false => Err((Fault::NotACount, words(field))),
        }
    }

    fn number(&self, field: &Field) -> Result<f32, Bad> {
        match field {
            Field::Missing => Err((Fault::NotANumber, String::new())),
            Field::Integer(number) | Field::Seconds(number) => Ok(*number as f32),
            Field::Unsigned(number) => Ok(*number as f32),
            Field::Number(number) => Ok(*number as f32),
            Field::Text(text) => {
                let text = utf8(text)?.trim();
                let value = match self.decimal {
                    // Most numbers are plain ones.
                    Decimal::Auto | Decimal::Point => text.parse().ok(),
                    Decimal::Comma => None,
                };
                let value = value.or_else(|| number_of_words(text, self.decimal, self.scale.max));
                value.ok_or_else(|| (Fault::NotANumber, shorten(text)))
            }
        }
    }

    fn time(&mut self, field: &Field) -> Result<i64, Bad> {
        let bad = || {
            (
                Fault::BadTimestamp,
                format!("`{}` is not in whole seconds since 1970", words(field)),
            )
        };
        match read_time(field)?.ok_or_else(bad)? {
            Moment::Seconds(seconds) => Ok(seconds),
            Moment::Number(number) => {
                let own = TimeUnit::of(number).ok_or_else(bad)?;
                let unit = *self.unit.get_or_insert(own);
                match own.ticks().cmp(&unit.ticks()) {
                    std::cmp::Ordering::Equal => Ok(number / unit.ticks()),
                    // Nothing is known of the time of a 0, in any unit.
                    std::cmp::Ordering::Less if number == 0 => Ok(0),
                    std::cmp::Ordering::Less => Err((
                        Fault::BadTimestamp,
                        format!("`{number}` is not in {}, as those before it are", unit.name()),
                    )),
                    std::cmp::Ordering::Greater => Err(bad()),
                }
            }
        }
    }

    fn id<'a>(&self, side: &str, field: &Field<'a>) -> Result<Id<'a>, Bad> {
        let missing = |text: &str| Err((Fault::MissingId, format!("{side} id `{}`", shorten(text))));
        let text = match field {
            Field::Missing => return Err((Fault::EmptyId, side.to_string())),
            Field::Integer(number) => return Ok(Id::Decimal(number.to_string())),
            Field::Unsigned(number) => return Ok(Id::Decimal(number.to_string())),
            Field::Seconds(number) => return Ok(Id::Decimal(number.to_string())),
            Field::Number(number) if number.is_nan() => return missing("NaN"),
            Field::Number(number) => return Ok(Id::Decimal(number.to_string())),
            Field::Text(text) => utf8(text)?,
        };
        if text.is_empty() {
            return Err((Fault::EmptyId, side.to_string()));
        }
        if self.missing.contains(text) {
            return missing(text);
        }
        if text.len() > MAX_ID_BYTES {
            return Err((Fault::LongId, format!("{side} id has {} bytes", text.len())));
        }
        if text.as_bytes().contains(&0) {
            return Err((Fault::NulByte, side.to_string()));
        }
        Ok(Id::Text(text))
    }
}

/// Words that stand for a missing id, asked for every row.
struct MissingIds {
    words: Vec<String>,
    longest: usize,
}

impl MissingIds {
    fn new(words: &[String]) -> Self {
        Self {
            words: words.to_vec(),
            longest: words.iter().map(String::len).max().unwrap_or(0),
        }
    }

    #[inline]
    fn contains(&self, text: &str) -> bool {
        // Most ids begin with a digit or are longer than any such word.
        text.len() <= self.longest && self.words.iter().any(|word| word == text)
    }
}

/// A time as it is written.
pub enum Moment {
    Seconds(i64),
    /// In some unit, whole.
    Number(i64),
}

/// The time that a field tells, `None` if it tells none; before 1970 there were no ratings.
pub fn read_time(field: &Field) -> Result<Option<Moment>, Bad> {
    /// Beyond 2^53 an f64 is not exact, which matters to nobody who counts seconds.
    fn whole(number: f64) -> Option<Moment> {
        // The unit is told by the magnitude, and no unit but the second has fractions.
        (0.0..9.2e18)
            .contains(&number)
            .then_some(Moment::Number(number.floor() as i64))
    }
    Ok(match field {
        Field::Missing => None,
        Field::Integer(number) => day_in_digits(*number).or((*number >= 0).then_some(Moment::Number(*number))),
        Field::Unsigned(_) => None,
        Field::Seconds(seconds) => (*seconds >= 0).then_some(Moment::Seconds(*seconds)),
        Field::Number(number) => whole(*number),
        Field::Text(text) => {
            let text = utf8(text)?.trim();
            match text.parse::<i64>() {
                Ok(number) => day_in_digits(number).or((number >= 0).then_some(Moment::Number(number))),
                Err(_) => match text
                    .parse::<f64>()
                    .ok()
                    .or_else(|| text.replacen(',', ".", 1).parse().ok())
                {
                    Some(number) => whole(number),
                    None => moment_of(text).filter(|seconds| *seconds >= 0).map(Moment::Seconds),
                },
            }
        }
    })
}

/// The day that a number such as 20140513 tells. As seconds these are two weeks of August 1970, when nobody rated anything.
fn day_in_digits(number: i64) -> Option<Moment> {
    if !(19_700_101..=21_001_231).contains(&number) {
        return None;
    }
    let text = format!("{:04}-{:02}-{:02}", number / 10_000, number / 100 % 100, number % 100);
    day_of(&text).map(|day| Moment::Seconds(day * DAY))
}

/// A rating in words or with a comma: `3,5`, `4.0 out of 5 stars`, `4/5`, `5 stars`, `★★★☆`, `80%`, `true`. `None` if it is none, or of another
/// scale than one that ends at `highest`.
pub fn number_of_words(text: &str, decimal: Decimal, highest: f32) -> Option<f32> {
    let number = |text: &str| -> Option<f32> {
        let text = text.trim();
        match decimal {
            Decimal::Point => text.parse().ok(),
            Decimal::Auto => text.parse().ok().or_else(|| comma(text)),
            Decimal::Comma => text
                .parse::<i64>()
                .ok()
                .map(|whole| whole as f32)
                .or_else(|| comma(text)),
        }
    };
    if let Some(value) = number(text) {
        return Some(value);
    }
    match text {
        "true" | "True" | "TRUE" => return Some(1.0),
        "false" | "False" | "FALSE" => return Some(0.0),
        _ => {}
    }
    if let Some(percents) = text.strip_suffix('%') {
        return number(percents);
    }
    if let Some(stars) = drawn_stars(text) {
        return Some(stars);
    }
    let text = text.trim_end_matches(['s', 'S']);
    let text = text
        .strip_suffix(" star")
        .or_else(|| text.strip_suffix(" Star"))
        .unwrap_or(text);
    match text.split_once(" out of ").or_else(|| text.split_once('/')) {
        Some((value, of)) => number(value).filter(|_| number(of) == Some(highest)),
        None => number(text),
    }
}

/// How many stars are full in `★★★★☆`.
fn drawn_stars(text: &str) -> Option<f32> {
    let is_full = |c: &char| matches!(c, '★' | '⭐');
    let is_star = |c: char| is_full(&c) || matches!(c, '☆' | '\u{fe0f}');
    (!text.is_empty() && text.chars().all(is_star)).then(|| text.chars().filter(is_full).count() as f32)
}

/// A number with one comma before its fraction.
fn comma(text: &str) -> Option<f32> {
    let is_plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b',' | b'-' | b'+');
    let has_one = text.bytes().filter(|byte| *byte == b',').count() == 1;
    (has_one && text.bytes().all(is_plain)).then(|| text.replace(',', ".").parse().ok())?
}

fn utf8(text: &[u8]) -> Result<&str, Bad> {
    std::str::from_utf8(text).map_err(|_| (Fault::NotUtf8, String::new()))
}

fn words(field: &Field) -> String {
    match field {
        Field::Missing => String::new(),
        Field::Text(text) => shorten(String::from_utf8_lossy(&text[..text.len().min(200)]).trim()),
        Field::Integer(number) | Field::Seconds(number) => number.to_string(),
        Field::Unsigned(number) => number.to_string(),
        Field::Number(number) => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratings_are_understood_as_people_write_them() {
        let read = |text: &str, decimal| number_of_words(text, decimal, 5.0);
        assert_eq!(read("3,5", Decimal::Auto), Some(3.5));
        assert_eq!(read("3,5", Decimal::Comma), Some(3.5));
        assert_eq!(read("3,5", Decimal::Point), None);
        assert_eq!(
            (read("80%", Decimal::Auto), read("3,5 %", Decimal::Comma)),
            (Some(80.0), Some(3.5))
        );
        assert_eq!(
            (read("★★★☆☆", Decimal::Auto), read("⭐️⭐️", Decimal::Auto)),
            (Some(3.0), Some(2.0))
        );
        assert_eq!(
            (
                read("%", Decimal::Auto),
                read("", Decimal::Auto),
                read("★x", Decimal::Auto)
            ),
            (None, None, None)
        );
        assert_eq!(
            (read("3.5", Decimal::Comma), read("3", Decimal::Comma)),
            (None, Some(3.0))
        );
        assert_eq!(read("1,234,567", Decimal::Auto), None);
        assert_eq!(read("4.0 out of 5 stars", Decimal::Point), Some(4.0));
        assert_eq!(read("1 star", Decimal::Point), Some(1.0));
        assert_eq!(
            (read("4/5", Decimal::Point), read("8/10", Decimal::Point)),
            (Some(4.0), None)
        );
        assert_eq!(
            (read("True", Decimal::Point), read("stars", Decimal::Point)),
            (Some(1.0), None)
        );
    }
}
