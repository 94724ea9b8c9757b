//! JSON: an object a row, one a line as in the Amazon review dumps, or a list of them.

use super::json_objects::Objects;
use super::lines::Lines;
use super::{Field, Fields, Row, Rows};
use crate::data::fault::{Fault, IngestError, shorten};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;

/// Where the text of each object comes from.
pub enum Texts<'a> {
    Lines(Lines<'a>),
    Objects(Objects<'a>),
}

impl Texts<'_> {
    /// Goes to the next text that is not blank; false at the end.
    pub fn advance(&mut self) -> Result<bool, IngestError> {
        loop {
            let is_there = match self {
                Self::Lines(lines) => lines.advance()?,
                Self::Objects(objects) => objects.advance()?,
            };
            if !is_there || !self.text().trim_ascii().is_empty() {
                return Ok(is_there);
            }
        }
    }

    /// The text.
    pub fn text(&self) -> &[u8] {
        match self {
            Self::Lines(lines) => lines.text(),
            Self::Objects(objects) => objects.text(),
        }
    }

    /// The line in which it begins, from 1.
    pub fn number(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.number(),
            Self::Objects(objects) => objects.number(),
        }
    }
}

/// Reads the values of four keys of each object.
pub struct JsonRows<'a> {
    texts: Texts<'a>,
    keys: [Option<String>; 4],
    /// Strings with escapes, which do not stand in the line as they are.
    unescaped: [String; 4],
}

impl<'a> JsonRows<'a> {
    /// Rows of `texts`; `keys` names user, product, rating and timestamp where there are any.
    pub fn new(texts: Texts<'a>, keys: [Option<String>; 4]) -> Self {
        Self {
            texts,
            keys,
            unescaped: Default::default(),
        }
    }
}

impl Rows for JsonRows<'_> {
    fn next(&mut self) -> Result<Option<Row<'_>>, IngestError> {
        if !self.texts.advance()? {
            return Ok(None);
        }
        let (line, text) = (self.texts.number(), self.texts.text());
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
                Scalar::Unsigned(number) => Field::Unsigned(number),
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

/// A value that is no list and no object; those and `null` count as missing. `true` is 1, `false` 0.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    Missing,
    Text(Cow<'a, str>),
    Integer(i64),
    Unsigned(u64),
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
        Ok(i64::try_from(number).map_or(Scalar::Unsigned(number), Scalar::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Integer(i64::from(flag)))
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
