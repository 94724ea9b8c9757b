//! JSON lines: one object a line, as in the Amazon review dumps.

use super::lines::Lines;
use super::{Field, Fields, Row, Rows};
use crate::data::fault::{Fault, IngestError, shorten};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;

/// Reads the values of four keys of each line.
pub struct JsonRows<'a> {
    lines: Lines<'a>,
    keys: [Option<String>; 4],
    /// Strings with escapes, which do not stand in the line as they are.
    unescaped: [String; 4],
}

impl<'a> JsonRows<'a> {
    /// Rows of `lines`; `keys` names user, product, rating and maybe timestamp.
    pub fn new(lines: Lines<'a>, keys: [Option<String>; 4]) -> Self {
        Self {
            lines,
            keys,
            unescaped: Default::default(),
        }
    }
}

impl Rows for JsonRows<'_> {
    fn next(&mut self) -> Result<Option<Row<'_>>, IngestError> {
        loop {
            if !self.lines.advance()? {
                return Ok(None);
            }
            if !self.lines.text().trim_ascii().is_empty() {
                break;
            }
        }
        let (line, text) = (self.lines.number(), self.lines.text());
        let values = match pick(text, &self.keys) {
            Ok(values) => values,
            Err(_) if std::str::from_utf8(text).is_err() => {
                let fields = Err((Fault::NotUtf8, String::new()));
                return Ok(Some(Row { line, fields }));
            }
            Err(error) => {
                let fields = Err((Fault::NotJson, error));
                return Ok(Some(Row { line, fields }));
            }
        };
        let mut fields: Fields = [Field::Missing; 4];
        for ((field, value), unescaped) in fields.iter_mut().zip(values).zip(&mut self.unescaped) {
            *field = match value {
                Scalar::Missing => Field::Missing,
                Scalar::Integer(number) => Field::Integer(number),
                Scalar::Number(number) => Field::Number(number),
                Scalar::Text(Cow::Borrowed(text)) => Field::Text(text.as_bytes()),
                Scalar::Text(Cow::Owned(text)) => {
                    *unescaped = text;
                    Field::Text(unescaped.as_bytes())
                }
            };
        }
        Ok(Some(Row {
            line,
            fields: Ok(fields),
        }))
    }

    fn has_timestamps(&self) -> bool {
        self.keys[3].is_some()
    }
}

/// A value that is no list and no object; those, `null` and booleans count as missing.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    Missing,
    Text(Cow<'a, str>),
    Integer(i64),
    Number(f64),
}

/// The values of `keys` in a line that holds one object; the first error in words.
fn pick<'a>(line: &'a [u8], keys: &[Option<String>; 4]) -> Result<[Scalar<'a>; 4], String> {
    let mut json = serde_json::Deserializer::from_slice(line);
    let values = Pick { keys }.deserialize(&mut json).map_err(|error| words(&error))?;
    json.end().map_err(|error| words(&error))?;
    Ok(values)
}

/// serde_json's message without its line, which is always 1.
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = text.rfind(" at line ").unwrap_or(text.len());
    shorten(&format!("{} in column {}", &text[..place], error.column()))
}

struct Pick<'k> {
    keys: &'k [Option<String>; 4],
}

impl<'de> DeserializeSeed<'de> for Pick<'_> {
    type Value = [Scalar<'de>; 4];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = [Scalar<'de>; 4];

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = [const { Scalar::Missing }; 4];
        while let Some(key) = map.next_key_seed(Text)? {
            match self.keys.iter().position(|wanted| wanted.as_deref() == Some(&*key)) {
                Some(place) => values[place] = map.next_value_seed(Value)?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(values)
    }
}

/// A string, borrowed where it has no escapes.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_string()))
    }
}

struct Value;

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Scalar<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Scalar<'de>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        // Past i64 an id is kept as the decimal text it is.
        Ok(i64::try_from(number).map_or_else(|_| Scalar::Text(Cow::Owned(number.to_string())), Scalar::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Missing)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Missing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Missing)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Missing)
    }
}
