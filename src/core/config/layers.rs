//! The layers of a config: built-in < file < `--set key=value`, merged as TOML tables and read once; and the place of each key.

use super::column_names::role_of;
use super::error::ConfigError;
use super::schema::Config;
use super::section::{OutOfRange, Section};
use std::path::Path;
use toml::{Table, Value};

/// A `--set key=value`, the value read as TOML or, failing that, as a bare string.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    pub key: String,
    pub value: Value,
    /// Where it comes from, as errors name it.
    flag: &'static str,
}

/// A value as it is typed: TOML or, failing that, a bare string.
pub fn parse_value(text: &str) -> Value {
    format!("value = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.trim().to_string()))
}

impl Assignment {
    /// Parses `key=value`; errors if there is no `=` or no key.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let error = || ConfigError::Assignment { text: text.to_string() };
        let (key, value) = text.split_once('=').ok_or_else(error)?;
        let key = key.trim();
        if key.is_empty() || key.split('.').any(str::is_empty) {
            return Err(error());
        }
        Ok(Self::by("--set", key, parse_value(value)))
    }

    /// An assignment from another flag than `--set`.
    pub fn by(flag: &'static str, key: &str, value: Value) -> Self {
        Self {
            key: key.to_string(),
            value,
            flag,
        }
    }

    /// Whether it sets `data.path`, alone or with the whole of `data`.
    pub fn names_path(&self) -> bool {
        self.key == "data.path" || (self.key == "data" && self.value.get("path").is_some())
    }

    fn path(&self) -> Vec<String> {
        self.key.split('.').map(str::to_string).collect()
    }
}

impl Config {
    /// Reads built-in < file < assignments, and checks every range once.
    pub fn load(path: &Path, assignments: &[Assignment]) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        Self::from_text(&text, &path.display().to_string(), assignments)
    }

    /// As [`Config::load`], from text that `origin` names in errors.
    pub fn from_text(text: &str, origin: &str, assignments: &[Assignment]) -> Result<Self, ConfigError> {
        let file = text.parse::<Table>().map_err(|error| ConfigError::Syntax {
            message: error.message().to_string(),
            place: place_of_offset(text, origin, error.span().map_or(0, |span| span.start)),
        })?;
        let places = Places {
            text,
            origin,
            assignments,
        };
        let known = Value::try_from(Self::default()).expect("the default config is a TOML table");
        let mut merged = known.clone();
        merge(&mut merged, Value::Table(file), 0, &known, &mut Vec::new(), &places)?;
        for assignment in assignments {
            let keys = assignment.path();
            let depth = keys.len();
            let layer = keys.into_iter().rev().fold(assignment.value.clone(), |value, key| {
                Value::Table(Table::from_iter([(key, value)]))
            });
            merge(&mut merged, layer, depth, &known, &mut Vec::new(), &places)?;
        }
        let mut config: Self = serde_path_to_error::deserialize(merged).map_err(|error| {
            let key = error.path().to_string();
            ConfigError::Value {
                place: places.of(&key),
                message: error.into_inner().message().trim().to_string(),
                key,
            }
        })?;
        config.settle();
        match config.out_of_range().or_else(|| config.contradiction()) {
            Some(OutOfRange { key, message }) => Err(ConfigError::Value {
                place: places.of(&key),
                key,
                message,
            }),
            None => Ok(config),
        }
    }

    /// The effective config as TOML text.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a config is a TOML table")
    }

    /// What a key such as `train.prior` is set to; `None` if there is no such key.
    pub fn value_of(&self, key: &str) -> Option<Value> {
        let config = Value::try_from(self).expect("a config is a TOML table");
        key.split('.').try_fold(config, |value, key| value.get(key).cloned())
    }
}

/// Tables whose keys are the user's own.
const FREE_TABLES: [&str; 2] = ["oversample.factors", "oversample.counts"];

/// Lays `layer` over `base`; a key that `known` does not have is an error.
///
/// The first `depth` keys of `layer` are a path that was named. A free table that the path leads to, or that stands below it, was
/// written as a whole and replaces the one before; a path that leads into it sets one key of it.
fn merge(
    base: &mut Value,
    layer: Value,
    depth: usize,
    known: &Value,
    path: &mut Vec<String>,
    places: &Places,
) -> Result<(), ConfigError> {
    let is_free = FREE_TABLES.contains(&path.join(".").as_str());
    match (base, layer) {
        (Value::Table(base), Value::Table(layer)) if is_free => {
            if path.len() >= depth {
                base.clear();
            }
            base.extend(layer);
        }
        (Value::Table(base), Value::Table(layer)) => {
            for (key, value) in layer {
                path.push(key.clone());
                let Some(known) = known.get(&key) else {
                    let key = path.join(".");
                    return Err(ConfigError::UnknownKey {
                        nearest: nearest_key(&key),
                        place: places.of(&key),
                        key,
                    });
                };
                merge(
                    base.get_mut(&key).expect("base has every known key"),
                    value,
                    depth,
                    known,
                    path,
                    places,
                )?;
                path.pop();
            }
        }
        (base, layer) if base.is_table() || layer.is_table() => {
            let key = path.join(".");
            let (found, wanted) = if base.is_table() {
                ("a value", "a table of keys")
            } else {
                ("a table", "a value")
            };
            return Err(ConfigError::Value {
                place: places.of(&key),
                message: format!("found {found}, wanted {wanted}"),
                key,
            });
        }
        (base, layer) => *base = layer,
    }
    Ok(())
}

/// All keys, dotted, in the order of the default config.
pub fn known_keys() -> Vec<String> {
    fn walk(prefix: &str, value: &Value, out: &mut Vec<String>) {
        for (key, value) in value.as_table().into_iter().flatten() {
            let path = if prefix.is_empty() {
                key.clone()
            } else {
                format!("{prefix}.{key}")
            };
            match value {
                Value::Table(_) if !FREE_TABLES.contains(&path.as_str()) => walk(&path, value, out),
                _ => out.push(path),
            }
        }
    }
    let mut keys = Vec::new();
    let default = Value::try_from(Config::default()).expect("the default config is a TOML table");
    walk("", &default, &mut keys);
    keys
}

/// The key that was meant. A table that is there was meant, so its own keys come before those of others; among `data.columns`
/// a word counts by what it stands for.
fn nearest_key(key: &str) -> Option<String> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_string();
    let table = key
        .rsplit_once('.')
        .map_or(String::new(), |(table, _)| format!("{table}."));
    if let Some((role, _)) = role_of(&last(key)).filter(|_| table == "data.columns.") {
        return Some(format!("{table}{}", role.key()));
    }
    let (siblings, others): (Vec<_>, Vec<_>) = known_keys()
        .into_iter()
        .partition(|known| !table.is_empty() && known.strip_prefix(&table).is_some_and(|leaf| !leaf.contains('.')));
    let leaf = |known: &str| strsim::jaro_winkler(&last(key), &last(known));
    let whole = |known: &str| strsim::jaro_winkler(key, known).max(leaf(known));
    most_like(siblings, leaf).or_else(|| most_like(others, whole))
}

fn most_like(known: Vec<String>, likeness: impl Fn(&str) -> f64) -> Option<String> {
    known
        .into_iter()
        .map(|known| (likeness(&known), known))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// Where each key was set.
struct Places<'a> {
    text: &'a str,
    origin: &'a str,
    assignments: &'a [Assignment],
}

impl Places<'_> {
    /// `--set key=...` if an assignment reaches the key, else file and line if the file does, else the built-in defaults.
    fn of(&self, key: &str) -> String {
        let covers =
            |set: &str| key == set || key.starts_with(&format!("{set}.")) || set.starts_with(&format!("{key}."));
        if let Some(set) = self.assignments.iter().rev().find(|set| covers(&set.key)) {
            return format!("{} {}={}", set.flag, set.key, set.value.to_string().trim());
        }
        let mut table = toml::de::DeTable::parse(self.text).ok().map(|table| table.into_inner());
        let mut offset = None;
        for part in key.split('.') {
            let found = table
                .take()
                .and_then(|table| table.into_iter().find(|(name, _)| name.get_ref().as_ref() == part));
            let Some((name, value)) = found else { break };
            offset = Some(name.span().start);
            if let toml::de::DeValue::Table(inner) = value.into_inner() {
                table = Some(inner);
            }
        }
        match offset {
            Some(offset) => place_of_offset(self.text, self.origin, offset),
            None => format!("built-in defaults under {}", self.origin),
        }
    }
}

fn place_of_offset(text: &str, origin: &str, offset: usize) -> String {
    let line = text[..offset.min(text.len())].matches('\n').count() + 1;
    format!("{origin}:{line}")
}
