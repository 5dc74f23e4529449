//! The `meta` object of a service node, kept as received.

use serde::Serialize;
use serde::de::MapAccess;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Number, json};

use super::fields::{Missing, Object, Value, read_object};
use super::{Dropped, MAX_META, Malformed};
use crate::balance::service::MAX_WEIGHT;

/// The weight of an instance without one, as in the original.
const DEFAULT_WEIGHT: u32 = 10;

/// The `meta` object of a service node. Kept as text, so that it takes no more memory than its bytes and is forwarded
/// unchanged.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Meta {
    text: Box<RawValue>,
    #[serde(skip)]
    weight: Weight,
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
        Self {
            text,
            weight: Weight {
                value: weight.min(MAX_WEIGHT),
                cut: weight > MAX_WEIGHT,
            },
        }
    }

    /// The share of connections: `weight`, 10 if it is not a number, 0 if it is negative, [`MAX_WEIGHT`] if it is more. The
    /// text keeps what was received.
    pub fn weight(&self) -> u32 {
        self.weight.value
    }

    /// Whether the text has a weight above [`MAX_WEIGHT`].
    pub fn is_weight_cut(&self) -> bool {
        self.weight.cut
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
        let weight =
            read_object("meta", text.as_bytes(), &mut Dropped::default()).map_err(|e| e.to_string())?;
        Ok(Self {
            text: raw.to_owned(),
            weight,
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Weight {
    value: u32,
    cut: bool,
}

impl Object for Weight {
    const KEYS: &'static [&'static str] = &["weight"];
    type Parts = Option<Weight>;

    fn take<'de, A: MapAccess<'de>>(parts: &mut Option<Weight>, value: Value<'_, A>) -> Result<(), A::Error> {
        *parts = value.raw(|raw| Ok(weight(raw)))?.flatten();
        Ok(())
    }

    fn build(parts: Option<Weight>) -> Result<Self, Missing> {
        Ok(parts.unwrap_or(Self {
            value: DEFAULT_WEIGHT,
            cut: false,
        }))
    }
}

fn weight(raw: &RawValue) -> Option<Weight> {
    let weight: Number = serde_json::from_str(raw.get()).ok()?;
    let weight = match weight.as_i64() {
        Some(weight) => weight,
        // `as` saturates: a float or a number beyond i64 becomes the nearest one.
        None => weight.as_f64()? as i64,
    };
    let cut = weight > i64::from(MAX_WEIGHT);
    let value = u32::try_from(weight.max(0)).unwrap_or(MAX_WEIGHT).min(MAX_WEIGHT);
    Some(Weight { value, cut })
}
