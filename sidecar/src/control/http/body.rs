//! What a request's body says: a JSON object whose fields are taken one by one, checked, and none left over.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::{http, refused};
use crate::control::grammar::Resource;
use crate::control::values::{self, Kind};
use crate::http::Answer;

/// A field that a body may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) holds: Holds,
    pub(super) required: bool,
    /// What it means, for the caller who got it wrong.
    pub(super) hint: &'static str,
}

/// What a JSON field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holds {
    Text,
    Number,
}

/// Why a body says nothing that could be done.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is not JSON.
    NotJson(serde_json::Error),
    /// It is JSON and not what is expected here.
    Unfit(String),
}

impl From<Fault> for Answer {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unfit(message) => refused(&message),
            Fault::NotJson(error) => http::json(
                StatusCode::BAD_REQUEST,
                &json!({
                    "status": 400,
                    "reason": "Bad Request",
                    "message": format!("request body is not valid json: {error}"),
                }),
            ),
        }
    }
}

/// The fields of a body as words: what they hold is of the right JSON type, required ones are there, and there
/// are no others.
#[derive(Debug)]
pub(super) struct Body {
    words: Map<String, Value>,
}

impl Body {
    pub(super) fn parse(body: &[u8], resource: Resource, fields: &[Field]) -> Result<Self, Fault> {
        let reference = || reference(resource, fields);
        let mut object = match serde_json::from_slice(body) {
            Ok(Value::Object(object)) => object,
            Ok(_) => {
                let message = format!(
                    "this api only accepts json object from http body: {}",
                    reference()
                );
                return Err(Fault::Unfit(message));
            }
            Err(error) => return Err(Fault::NotJson(error)),
        };
        let mut words = Map::new();
        for field in fields {
            match object.remove(field.name) {
                None | Some(Value::Null) if field.required => {
                    let message = format!(
                        "{} is required by this api, you may refer to: {}",
                        field.name,
                        reference()
                    );
                    return Err(Fault::Unfit(message));
                }
                None | Some(Value::Null) => {}
                Some(value) => {
                    words.insert(field.name.to_owned(), field.word(value)?.into());
                }
            }
        }
        match object.keys().next() {
            Some(unknown) => Err(Fault::Unfit(format!(
                "input {unknown} is not recognized, you may refer to: {}",
                reference()
            ))),
            None => Ok(Self { words }),
        }
    }

    /// The name of the resource that the body is about.
    pub(super) fn name(&self, resource: Resource) -> Result<String, Fault> {
        let name = self.word("name").unwrap_or_default();
        values::check_name(resource.word(), name).map_err(|e| Fault::Unfit(e.to_string()))?;
        Ok(name.to_owned())
    }

    pub(super) fn optional<T>(&self, field: &str, kind: &Kind<T>) -> Result<Option<T>, Fault> {
        let Some(word) = self.word(field) else {
            return Ok(None);
        };
        match (kind.parse)(word) {
            Some(value) => Ok(Some(value)),
            None => Err(Fault::Unfit(format!(
                "{field} {word} is not valid; expected {}",
                kind.expected
            ))),
        }
    }

    /// A field that [`Body::parse`] found to be there.
    pub(super) fn required<T>(&self, field: &str, kind: &Kind<T>) -> Result<T, Fault> {
        self.optional(field, kind)?
            .ok_or_else(|| Fault::Unfit(format!("{field} is required by this api")))
    }

    fn word(&self, field: &str) -> Option<&str> {
        self.words.get(field).and_then(Value::as_str)
    }
}

impl Field {
    /// The value as a word of the command language.
    fn word(&self, value: Value) -> Result<String, Fault> {
        let name = self.name;
        match (self.holds, value) {
            (Holds::Text, Value::String(text)) => Ok(text),
            (Holds::Number, Value::Number(number)) => Ok(number.to_string()),
            (Holds::Text, other) => Err(Fault::Unfit(format!("{name} must be a string, found {other}"))),
            (Holds::Number, other) => Err(Fault::Unfit(format!("{name} must be a number, found {other}"))),
        }
    }
}

/// An object that shows every field.
fn reference(resource: Resource, fields: &[Field]) -> String {
    let shown = fields.iter().map(|field| {
        let hint = field.hint.replace("RESOURCE", resource.word());
        (field.name.to_owned(), hint.into())
    });
    Value::Object(shown.collect()).to_string()
}
