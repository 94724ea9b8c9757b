//! What a sweep varies: keys with their values, and the settings of each trial that come of them.
//!
//! `key=a,b,c` is a list of TOML values, `key=low..high` a range: drawn evenly on a logarithmic scale if both ends are above
//! zero, else evenly; in whole numbers if both ends are. All combinations of lists make a grid; ranges have no end of
//! combinations, so they are drawn, as are lists with them.

use super::SweepError;
use crate::common::random::{Purpose, stream};
use crate::config::{Assignment, parse_value};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use toml::Value;

/// A grid larger than this is a slip of the pen.
pub const MAX_TRIALS: usize = 10_000;

/// One key and the values it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    pub key: String,
    values: Values,
}

#[derive(Clone, Debug, PartialEq)]
enum Values {
    List(Vec<Value>),
    Range { low: f64, high: f64, is_whole: bool },
}

impl Axis {
    /// Parses `key=a,b,c` or `key=low..high`; errors if it is neither, or the range has no inside.
    pub fn parse(text: &str) -> Result<Self, SweepError> {
        let fault = |fault: &'static str| SweepError::Axis {
            text: text.to_string(),
            fault,
        };
        let (key, values) = text.split_once('=').ok_or_else(|| fault("wanted `key=values`"))?;
        let key = key.trim();
        if key.is_empty() || key.split('.').any(str::is_empty) {
            return Err(fault("wanted `key=values`"));
        }
        let values = match values.split_once("..") {
            Some((low, high)) => {
                range(low.trim(), high.trim()).ok_or_else(|| fault("wanted a range of two numbers, the lower first"))?
            }
            None => {
                let words = split_list(values);
                if words.iter().any(|word| word.is_empty()) {
                    return Err(fault("a value is missing"));
                }
                Values::List(words.into_iter().map(parse_value).collect())
            }
        };
        Ok(Self {
            key: key.to_string(),
            values,
        })
    }

    fn draw(&self, random: &mut ChaCha8Rng) -> Value {
        match &self.values {
            Values::List(values) => values[random.random_range(0..values.len())].clone(),
            &Values::Range { low, high, is_whole } => {
                let unit = random.random::<f64>();
                let drawn = if low > 0.0 {
                    (low.ln() + unit * (high.ln() - low.ln())).exp()
                } else {
                    low + unit * (high - low)
                };
                if is_whole {
                    Value::Integer(drawn.round() as i64)
                } else {
                    // Three digits are as fine as anybody can tell, and can be typed.
                    let short: f64 = format!("{drawn:.2e}").parse().expect("a number reads back");
                    Value::Float(short.clamp(low, high))
                }
            }
        }
    }
}

fn range(low: &str, high: &str) -> Option<Values> {
    let is_whole = low.parse::<i64>().is_ok() && high.parse::<i64>().is_ok();
    let (low, high) = (low.parse::<f64>().ok()?, high.parse::<f64>().ok()?);
    (low < high && low.is_finite() && high.is_finite()).then_some(Values::Range { low, high, is_whole })
}

/// Cuts at commas outside brackets and quotes.
fn split_list(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut is_quoted) = (Vec::new(), 0, 0, false);
    for (place, letter) in text.char_indices() {
        match letter {
            '"' => is_quoted = !is_quoted,
            '[' | '{' if !is_quoted => depth += 1,
            ']' | '}' if !is_quoted => depth -= 1,
            ',' if !is_quoted && depth == 0 => {
                parts.push(text[start..place].trim());
                start = place + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// What each trial sets: the grid of all axes, or `draws` random trials, without repetitions. The `n`-th draw depends on the
/// seed and n alone, so more draws continue fewer.
///
/// Errors if there is no axis, a key comes twice, a grid has a range in it, or it is larger than [`MAX_TRIALS`].
pub fn trials(axes: &[Axis], draws: Option<usize>, seed: u64) -> Result<Vec<Vec<Assignment>>, SweepError> {
    if axes.is_empty() {
        return Err(SweepError::NoAxis);
    }
    for (number, axis) in axes.iter().enumerate() {
        if axes[..number].iter().any(|before| before.key == axis.key) {
            return Err(SweepError::Twice(axis.key.clone()));
        }
    }
    let rows = match draws {
        Some(draws) if draws > MAX_TRIALS => return Err(SweepError::TooMany(draws)),
        Some(draws) => (0..draws as u32)
            .map(|number| {
                let mut random = stream(seed, Purpose::Sweep, number);
                axes.iter().map(|axis| axis.draw(&mut random)).collect()
            })
            .collect(),
        None => grid(axes)?,
    };
    let mut distinct: Vec<Vec<Value>> = Vec::new();
    for row in rows {
        if !distinct.contains(&row) {
            distinct.push(row);
        }
    }
    let settings = |row: Vec<Value>| {
        let pairs = axes.iter().zip(row);
        pairs
            .map(|(axis, value)| Assignment::by("--over", &axis.key, value))
            .collect()
    };
    Ok(distinct.into_iter().map(settings).collect())
}

/// All combinations; the last axis changes fastest.
fn grid(axes: &[Axis]) -> Result<Vec<Vec<Value>>, SweepError> {
    let mut rows = vec![Vec::new()];
    for axis in axes {
        let Values::List(values) = &axis.values else {
            return Err(SweepError::RangeInGrid(axis.key.clone()));
        };
        if rows.len() * values.len() > MAX_TRIALS {
            return Err(SweepError::TooMany(rows.len() * values.len()));
        }
        rows = rows
            .iter()
            .flat_map(|row| {
                values
                    .iter()
                    .map(|value| [row.as_slice(), std::slice::from_ref(value)].concat())
            })
            .collect();
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn parsed(texts: &[&str]) -> Vec<Axis> {
        texts.iter().map(|text| Axis::parse(text).unwrap()).collect()
    }

    fn values(trials: &[Vec<Assignment>]) -> Vec<String> {
        let words = |trial: &Vec<Assignment>| {
            trial
                .iter()
                .map(|set| set.value.to_string())
                .collect::<Vec<_>>()
                .join(" ")
        };
        trials.iter().map(words).collect()
    }

    #[test]
    fn a_grid_is_all_combinations_once() {
        let axes = parsed(&[
            "train.l2=0, 0.1",
            "train.optimizer=adam,sgd",
            "oversample.factors={},{\"1\"=2.0}",
        ]);
        let trials = trials(&axes, None, 1).unwrap();
        let found = values(&trials);
        assert_eq!(found.len(), 8);
        assert_eq!(found[0], "0 \"adam\" {}");
        assert_eq!(found[7], "0.1 \"sgd\" { 1 = 2.0 }");
        // Each trains what its label says, whatever the file has.
        let file = "[oversample]\nfactors = { \"2\" = 3.0 }";
        let classes = |trial: &Vec<Assignment>| {
            let config = Config::from_text(file, "x.toml", trial).unwrap();
            config.oversample.factors.into_keys().collect::<Vec<_>>()
        };
        assert!(classes(&trials[0]).is_empty());
        assert_eq!(classes(&trials[7]), ["1"]);
        assert_eq!(trials[3][0].key, "train.l2");
        assert_eq!(
            values(&super::trials(&parsed(&["seed=1,1,2"]), None, 1).unwrap()),
            ["1", "2"]
        );
    }

    #[test]
    fn draws_stay_in_their_ranges_spread_over_decades_and_continue() {
        let axes = parsed(&["train.l2=0.001..1", "model.dim=4..64", "train.clip=0..2.0"]);
        let drawn = trials(&axes, Some(200), 5).unwrap();
        let numbers = |column: usize| -> Vec<f64> {
            let number = |value: &Value| value.as_float().or(value.as_integer().map(|n| n as f64)).unwrap();
            drawn.iter().map(|trial| number(&trial[column].value)).collect()
        };
        let (logarithmic, whole, even) = (numbers(0), numbers(1), numbers(2));
        assert!(logarithmic.iter().all(|x| (0.001..=1.0).contains(x)));
        // A third of the logarithmic range is below 0.01, but a hundredth of the plain one.
        let low = logarithmic.iter().filter(|x| **x < 0.01).count();
        assert!((40..100).contains(&low), "{low} of 200");
        assert!(whole.iter().all(|x| x.fract() == 0.0 && (4.0..=64.0).contains(x)));
        assert!((70..130).contains(&even.iter().filter(|x| **x < 1.0).count()));
        assert_eq!(trials(&axes, Some(7), 5).unwrap(), drawn[..7]);
        assert!(trials(&axes, Some(7), 6).unwrap() != drawn[..7]);
    }

    #[test]
    fn what_is_no_axis_says_what_was_wanted() {
        let message = |text: &str| Axis::parse(text).unwrap_err().to_string();
        assert_eq!(message("train.l2"), "`--over train.l2`: wanted `key=values`");
        assert_eq!(message("=1"), "`--over =1`: wanted `key=values`");
        assert_eq!(message("train.l2=1,,2"), "`--over train.l2=1,,2`: a value is missing");
        for range in ["2..1", "1..", "a..b", "1..inf"] {
            let text = format!("train.l2={range}");
            assert!(
                message(&text).ends_with("wanted a range of two numbers, the lower first"),
                "{range}"
            );
        }
        let error = |texts: &[&str]| trials(&parsed(texts), None, 1).unwrap_err().to_string();
        assert_eq!(error(&[]), "there is nothing to vary");
        assert_eq!(error(&["seed=1", "seed=2"]), "`seed` is varied twice");
        assert_eq!(
            error(&["train.l2=0.1..1"]),
            "`train.l2` is a range, and a grid has none"
        );
        let long = format!("seed={}", (0..101).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
        let longer = long.replace("seed", "train.epochs");
        assert_eq!(error(&[&long, &longer]), "10201 trials are more than 10000");
    }
}
