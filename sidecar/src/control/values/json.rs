//! Values in JSON bodies.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::{Value, not_valid, shortened};

/// A JSON type, and the limits of its values.
#[derive(Debug, Clone, Copy)]
pub(in crate::control) enum Json {
    Text,
    OneOf(&'static [&'static str]),
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for the API document, which tests write")
    )]
    Integer {
        min: u32,
        max: u32,
    },
    Bool,
}

impl Json {
    fn noun(self) -> &'static str {
        match self {
            Self::Text | Self::OneOf(_) => "a string",
            Self::Integer { .. } => "a number",
            Self::Bool => "true or false",
        }
    }

    /// A word as a value of this type.
    #[cfg(test)]
    pub(in crate::control) fn value(self, word: &str) -> serde_json::Value {
        match self {
            Self::Text | Self::OneOf(_) => word.into(),
            Self::Integer { .. } | Self::Bool => word.parse().unwrap_or_default(),
        }
    }
}

/// Parses a value from JSON, for `#[serde(deserialize_with)]`.
///
/// # Errors
/// The message continues a sentence that begins with the field's name.
pub(in crate::control) fn json<'de, D: Deserializer<'de>, T: Value>(deserializer: D) -> Result<T, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    let word = match (T::JSON, &value) {
        (Json::Text | Json::OneOf(_), serde_json::Value::String(text)) => text.clone(),
        (Json::Integer { .. }, serde_json::Value::Number(number)) => integer(number),
        (Json::Bool, serde_json::Value::Bool(_)) => value.to_string(),
        (json, _) => {
            let (noun, found) = (json.noun(), shortened(&value.to_string()));
            return Err(D::Error::custom(format_args!("must be {noun}, found {found}")));
        }
    };
    T::parse(&word).ok_or_else(|| D::Error::custom(not_valid::<T>(&shortened(&word))))
}

/// A number as a word. JSON has no integers: 500, 500.0 and 5e2 are the same number (RFC 8259, section 6), and some
/// clients write every number with a fraction.
fn integer(number: &serde_json::Number) -> String {
    match number.as_f64() {
        // An `f64` holds every integer up to 2^53.
        Some(float) if float.fract() == 0.0 && float.abs() < 9e15 => format!("{}", float as i64),
        _ => number.to_string(),
    }
}

/// Like [`json`], for a field that may be left out.
pub(in crate::control) fn optional_json<'de, D: Deserializer<'de>, T: Value>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    json(deserializer).map(Some)
}
