//! The `meta` object of a service node, kept as received.

use serde::Serialize;
use serde::de::MapAccess;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Number, json};

use super::fields::{Missing, Object, Value, read_object};
use super::{Dropped, MAX_META, Malformed};

/// The weight of an instance without one, as in the original.
const DEFAULT_WEIGHT: u32 = 10;

/// The `meta` object of a service node. Kept as text, so that it takes no more memory than its bytes and is forwarded
/// unchanged.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Meta {
    text: Box<RawValue>,
    #[serde(skip)]
    weight: u32,
}

/// Compares the texts.
impl PartialEq for Meta {
    fn eq(&self, other: &Self) -> bool {
        self.text.get() == other.text.get()
    }
}

impl Eq for Meta {}

impl Meta {
    /// An object that holds only a weight.
    pub fn of_weight(weight: u32) -> Self {
        // A number always serializes.
        let text = to_raw_value(&json!({ "weight": weight })).unwrap_or_default();
        Self { text, weight }
    }

    /// The share of connections: `weight`, 10 if it is not a number, 0 if it is negative.
    pub fn weight(&self) -> u32 {
        self.weight
    }

    /// Parses a JSON object of at most [`MAX_META`] bytes.
    ///
    /// # Errors
    /// If it is longer, or not a JSON object.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let raw = serde_json::from_str(text).map_err(|e| Malformed::new(format!("meta: not JSON: {e}")))?;
        Self::read(raw).map_err(|why| Malformed::new(format!("meta: {why}")))
    }

    pub(super) fn read(raw: &RawValue) -> Result<Self, String> {
        let text = raw.get();
        if !text.starts_with('{') {
            return Err("expected an object".to_owned());
        }
        if text.len() > MAX_META {
            return Err(format!("expected at most {MAX_META} bytes, found {}", text.len()));
        }
        let Weight(weight) =
            read_object("meta", text.as_bytes(), &mut Dropped::default()).map_err(|e| e.to_string())?;
        Ok(Self {
            text: raw.to_owned(),
            weight,
        })
    }
}

struct Weight(u32);

impl Object for Weight {
    const KEYS: &'static [&'static str] = &["weight"];
    type Parts = Option<u32>;

    fn take<'de, A: MapAccess<'de>>(parts: &mut Option<u32>, value: Value<'_, A>) -> Result<(), A::Error> {
        *parts = value.raw(|raw| Ok(weight(raw)))?.flatten();
        Ok(())
    }

    fn build(parts: Option<u32>) -> Result<Self, Missing> {
        Ok(Self(parts.unwrap_or(DEFAULT_WEIGHT)))
    }
}

fn weight(raw: &RawValue) -> Option<u32> {
    let weight: Number = serde_json::from_str(raw.get()).ok()?;
    match weight.as_i64() {
        Some(weight) => Some(u32::try_from(weight.max(0)).unwrap_or(u32::MAX)),
        // `as` saturates: a float or a number beyond i64 becomes the nearest weight.
        None => weight.as_f64().map(|weight| weight as u32),
    }
}
