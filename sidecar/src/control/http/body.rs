//! Reads a request's body: a JSON object with the fields of a specification. Messages are the original's if it has them.

use std::fmt;

use serde_json::{Map, Value};

use crate::control::error::CommandError;
use crate::control::resources::{BodyField, JsonError, Presence, Resource};
use crate::control::values::shortened;

/// Why a body is not a command.
#[derive(Debug)]
pub(super) enum BodyError {
    /// It is not JSON.
    NotJson(serde_json::Error),
    /// It is JSON, but not what is expected here.
    Unfit(String),
}

impl From<JsonError> for BodyError {
    fn from(JsonError(message): JsonError) -> Self {
        Self::Unfit(message)
    }
}

impl From<CommandError> for BodyError {
    fn from(error: CommandError) -> Self {
        Self::Unfit(error.to_string())
    }
}

/// Reads an object that has the required fields, no unknown ones, and at least one that changes something. Fields of the
/// original that set nothing here are taken out; those that the caller is told of are added to `ignored`.
pub(super) fn read(
    body: &[u8],
    resource: Resource,
    fields: &[BodyField],
    ignored: &mut Vec<&'static str>,
) -> Result<Map<String, Value>, BodyError> {
    let mut object = match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => object,
        Ok(_) => {
            let example = example(resource, fields);
            return Err(BodyError::Unfit(format!(
                "this api only accepts json object from http body: {example}"
            )));
        }
        Err(error) => return Err(BodyError::NotJson(error)),
    };
    // Clients that write every field they know write null for those they leave out.
    let is_given = |object: &Map<String, Value>, name| object.get(name).is_some_and(|value| !value.is_null());
    let required = |f: &&BodyField| f.presence == Presence::Required;
    if let Some(missing) = fields
        .iter()
        .filter(required)
        .find(|f| !is_given(&object, f.field.name))
    {
        let (name, example) = (missing.field.name, example(resource, fields));
        return Err(BodyError::Unfit(format!(
            "{name} is required by this api, you may refer to: {example}"
        )));
    }
    let known = |name: &str| fields.iter().any(|f| f.field.name == name);
    if let Some(unknown) = object.keys().find(|name| !known(name)) {
        let absent: Vec<BodyField> = fields
            .iter()
            .filter(|f| !is_given(&object, f.field.name))
            .copied()
            .collect();
        let example = match absent.is_empty() {
            true => String::new(),
            false => example(resource, &absent).to_string(),
        };
        let unknown = shortened(unknown);
        return Err(BodyError::Unfit(format!(
            "input {unknown} is not recognized, you may refer to: {example}"
        )));
    }
    object.retain(|_, value| !value.is_null());
    if object.is_empty() {
        let supported = fields.iter().filter(|f| f.foreign.is_none());
        let names: Vec<&str> = supported.map(|f| f.field.name).collect();
        return Err(BodyError::Unfit(format!(
            "the update changes nothing; expected at least one of {}",
            names.join(", ")
        )));
    }
    take_foreign(&mut object, fields, ignored)?;
    Ok(object)
}

/// Takes out the fields of the original that set nothing here.
fn take_foreign(
    object: &mut Map<String, Value>,
    fields: &[BodyField],
    ignored: &mut Vec<&'static str>,
) -> Result<(), CommandError> {
    for BodyField { field, foreign, .. } in fields {
        let Some(foreign) = foreign else { continue };
        let Some(value) = object.remove(field.name) else {
            continue;
        };
        let word = match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        if foreign.check(field.name, &word)? {
            ignored.push(field.name);
        }
    }
    Ok(())
}

/// An example with every field of the original: a plausible number, or the field's meaning.
fn example(resource: Resource, fields: &[BodyField]) -> impl fmt::Display {
    let fields = fields.iter().filter(|field| !field.added);
    let shown = fields.map(|BodyField { field, .. }| {
        let value = match field.sample {
            Some(sample) => sample.into(),
            None => field.help.replace("RESOURCE", resource.word()).into(),
        };
        (field.name.to_owned(), value)
    });
    Value::Object(shown.collect())
}
