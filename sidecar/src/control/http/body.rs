//! From a JSON object to the sentence that says the same.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::{http, refused};
use crate::control::grammar::{Action, Dialect, Key, Resource, Sentence};
use crate::http::Answer;

/// What a JSON field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holds {
    Text,
    Number,
}

/// A field of a request's body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) key: Key,
    pub(super) holds: Holds,
    pub(super) required: bool,
    /// What it means, for the caller who got it wrong.
    pub(super) hint: &'static str,
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

/// The sentence `add RESOURCE NAME KEY VALUE...` that a body says.
pub(super) fn addition(resource: Resource, fields: &[Field], body: &[u8]) -> Result<Sentence, Fault> {
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
    let mut take = |name: &str, holds: Holds, required: bool| match object.remove(name) {
        None | Some(Value::Null) if required => Err(Fault::Unfit(format!(
            "{name} is required by this api, you may refer to: {}",
            reference()
        ))),
        None | Some(Value::Null) => Ok(None),
        Some(value) => holds.text(name, value).map(Some),
    };
    let name = take("name", Holds::Text, true)?.unwrap_or_default();
    let mut keys = Vec::new();
    for field in fields {
        if let Some(text) = take(Dialect::Json.key(field.key), field.holds, field.required)? {
            keys.push((field.key, text));
        }
    }
    if let Some(unknown) = object.keys().next() {
        let message = format!(
            "input {unknown} is not recognized, you may refer to: {}",
            reference()
        );
        return Err(Fault::Unfit(message));
    }
    Ok(Sentence {
        dialect: Dialect::Json,
        action: Action::Add,
        resource,
        name,
        target: None,
        keys,
        flags: Vec::new(),
    })
}

impl Holds {
    /// The value as a word of the command language.
    fn text(self, name: &str, value: Value) -> Result<String, Fault> {
        match (self, value) {
            (Self::Text, Value::String(text)) => Ok(text),
            (Self::Number, Value::Number(number)) => Ok(number.to_string()),
            (Self::Text, other) => Err(Fault::Unfit(format!("{name} must be a string, found {other}"))),
            (Self::Number, other) => Err(Fault::Unfit(format!("{name} must be a number, found {other}"))),
        }
    }
}

/// An object that shows every field.
fn reference(resource: Resource, fields: &[Field]) -> String {
    let mut object = Map::new();
    object.insert("name".to_owned(), format!("alias of the {resource}").into());
    for field in fields {
        object.insert(Dialect::Json.key(field.key).to_owned(), field.hint.into());
    }
    Value::Object(object).to_string()
}
