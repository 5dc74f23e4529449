//! What answers look like: types that are written as JSON and describe themselves for the API document.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;
use serde_json::{Map, Value, json};

/// The schemas of an API document by name.
pub(super) type Schemas = Map<String, Value>;

/// Something that answers are made of. It is written as its schema says.
pub(super) trait Shape: Serialize {
    /// Its schema; what it refers to is added to the known ones.
    fn schema(known: &mut Schemas) -> Value;
}

/// Declares structs that are written as JSON objects, their fields in camelCase, and describe themselves.
macro_rules! shapes {
    ($($(#[doc = $about:literal])+ struct $name:ident { $($(#[doc = $doc:literal])+ $field:ident: $type:ty),+ $(,)? })+) => {$(
        $(#[doc = $about])+
        #[derive(Debug, serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        pub(in crate::control::http) struct $name {
            $($(#[doc = $doc])+ pub(in crate::control::http) $field: $type),+
        }

        impl $crate::control::http::shape::Shape for $name {
            fn schema(known: &mut $crate::control::http::shape::Schemas) -> serde_json::Value {
                use $crate::control::http::shape::{object, property};
                let name = stringify!($name);
                if !known.contains_key(name) {
                    let properties = vec![$(
                        property::<$type>(stringify!($field), concat!($($doc),+), known)
                    ),+];
                    known.insert(name.to_owned(), object(concat!($($about),+), properties));
                }
                serde_json::json!({"$ref": format!("#/components/schemas/{name}")})
            }
        }
    )+};
}
pub(super) use shapes;

/// A field of a struct as its schema's property.
pub(super) fn property<T: Shape>(field: &str, about: &str, known: &mut Schemas) -> (String, Value) {
    let mut schema = T::schema(known);
    schema["description"] = about.trim().into();
    (camel(field), schema)
}

/// The schema of an object that has all of these and no other.
pub(super) fn object(about: &str, properties: Vec<(String, Value)>) -> Value {
    let required: Vec<String> = properties.iter().map(|(name, _)| name.clone()).collect();
    json!({
        "type": "object",
        "description": about.trim(),
        "properties": properties.into_iter().collect::<Map<_, _>>(),
        "required": required,
        "additionalProperties": false,
    })
}

fn camel(field: &str) -> String {
    let mut words = field.split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        name.push_str(&first.to_ascii_uppercase());
        name.push_str(rest);
    }
    name
}

macro_rules! plain {
    ($($type:ty = $schema:tt),+ $(,)?) => {$(
        impl Shape for $type {
            fn schema(_known: &mut Schemas) -> Value {
                json!($schema)
            }
        }
    )+};
}

plain! {
    String = {"type": "string"},
    &'static str = {"type": "string"},
    SocketAddr = {"type": "string"},
    IpAddr = {"type": "string"},
    bool = {"type": "boolean"},
    u16 = {"type": "integer", "minimum": 0, "maximum": 65535},
    u32 = {"type": "integer", "minimum": 0},
    u64 = {"type": "integer", "minimum": 0},
    () = {"type": "null"},
    Status = {"type": "string", "enum": ["UP", "DOWN"]},
    Nothing = {"type": "array", "items": {}, "maxItems": 0},
}

impl<T: Shape> Shape for Vec<T> {
    fn schema(known: &mut Schemas) -> Value {
        json!({"type": "array", "items": T::schema(known)})
    }
}

impl<T: Shape> Shape for Option<T> {
    fn schema(known: &mut Schemas) -> Value {
        json!({"oneOf": [T::schema(known), {"type": "null"}]})
    }
}

/// Whether something takes connections.
#[derive(Debug, Serialize)]
pub(super) enum Status {
    #[serde(rename = "UP")]
    Up,
    #[serde(rename = "DOWN")]
    Down,
}

impl From<bool> for Status {
    fn from(up: bool) -> Self {
        if up { Self::Up } else { Self::Down }
    }
}

/// An array that is always empty.
#[derive(Debug)]
pub(super) struct Nothing;

impl Serialize for Nothing {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(std::iter::empty::<()>())
    }
}
