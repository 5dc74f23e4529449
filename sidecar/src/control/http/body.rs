//! Reads a request's body: a JSON object whose fields become words of the command language, checked one by one,
//! and none left over.

use std::fmt;

use serde_json::{Map, Value};

use super::field::{Field, Given, Holds, To};
use crate::control::error::CommandError;
use crate::control::grammar::Resource;

/// The longest part of a value that a message repeats, in characters.
const SHOWN: usize = 80;

/// Why a body says nothing that could be done.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is not JSON.
    NotJson(serde_json::Error),
    /// It is JSON, or no body's matter, and not what is expected here.
    Unfit(String),
}

/// What a body says.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) name: Option<String>,
    /// Keys with their values, and flags.
    pub(super) words: Vec<String>,
    /// Which field said which value.
    said_by: Vec<(String, String)>,
}

impl Said {
    /// Reads a body that has these fields.
    pub(super) fn parse(body: &[u8], resource: Resource, fields: &[Given]) -> Result<Self, Fault> {
        let mut object = match serde_json::from_slice(body) {
            Ok(Value::Object(object)) => object,
            Ok(_) => {
                return Err(Fault::Unfit(format!(
                    "this api only accepts json object from http body: {}",
                    Reference(resource, fields)
                )));
            }
            Err(error) => return Err(Fault::NotJson(error)),
        };
        let mut said = Self::default();
        let mut absent = Vec::new();
        for given in fields {
            let field = given.field();
            match object.remove(field.name) {
                // Clients that write every field they know of write null where they have nothing to say.
                None | Some(Value::Null) if given.is_required() => {
                    return Err(Fault::Unfit(format!(
                        "{} is required by this api, you may refer to: {}",
                        field.name,
                        Reference(resource, fields)
                    )));
                }
                None | Some(Value::Null) => absent.push(*given),
                Some(value) => said.take(field, &value)?,
            }
        }
        if let Some(unknown) = object.keys().next() {
            let message = format!("input {} is not recognized, you may refer to: ", short(unknown));
            return Err(Fault::Unfit(if absent.is_empty() {
                message
            } else {
                format!("{message}{}", Reference(resource, &absent))
            }));
        }
        if said.name.is_none() && said.words.is_empty() {
            let names: Vec<&str> = fields
                .iter()
                .filter(|g| g.field().is_real())
                .map(|g| g.field().name)
                .collect();
            return Err(Fault::Unfit(format!(
                "the update changes nothing; expected at least one of {}",
                names.join(", ")
            )));
        }
        Ok(said)
    }

    fn take(&mut self, field: &Field, value: &Value) -> Result<(), Fault> {
        let word = field.word(value)?;
        match field.to {
            To::Name => self.name = Some(word.clone()),
            To::Key(key) | To::First(key) => self.words.extend([key.word().to_owned(), word.clone()]),
            To::Last => {
                // The table has the first half in front of the last, and both are required.
                let (first, half) = self.said_by.pop().unwrap_or_default();
                let whole = format!("{half},{word}");
                self.words.pop();
                self.words.push(whole.clone());
                self.said_by.push((format!("{first} and {}", field.name), whole));
                return Ok(());
            }
            To::Flag { yes, no } => {
                let flag = if word == "true" { yes } else { no };
                self.words.push(flag.word().to_owned());
            }
            To::Nothing { .. } => return Ok(()),
        }
        self.said_by.push((field.name.to_owned(), word));
        Ok(())
    }

    /// The refusal of what this body says, in the body's own terms.
    pub(super) fn explain(&self, error: &CommandError) -> String {
        let message = error.to_string();
        let (CommandError::Invalid { word, .. } | CommandError::Refused { word, .. }) = error else {
            return message;
        };
        match self.said_by.iter().find(|(_, said)| said == word) {
            Some((field, _)) if !message.starts_with(&format!("{field} ")) => format!("{field}: {message}"),
            _ => message,
        }
    }
}

impl Field {
    /// The value as a word of the command language.
    fn word(&self, value: &Value) -> Result<String, Fault> {
        let name = self.name;
        if let To::Nothing { why } = self.to {
            return Err(Fault::Unfit(format!("{name} does not exist here: {why}")));
        }
        let is_a = match (self.holds, value) {
            (Holds::Text(fit) | Holds::Word(_, fit), Value::String(_)) => Ok(Some(fit)),
            (Holds::Number(.., fit), Value::Number(_)) => Ok(Some(fit)),
            (Holds::Bool, Value::Bool(_)) | (Holds::Anything, _) => Ok(None),
            (Holds::Text(_) | Holds::Word(..), _) => Err("a string"),
            (Holds::Number(..), _) => Err("a number"),
            (Holds::Bool, _) => Err("true or false"),
        };
        let word = word_of(value);
        match is_a {
            Err(expected) => {
                let found = short(&value.to_string());
                Err(Fault::Unfit(format!("{name} must be {expected}, found {found}")))
            }
            // A name is judged by who knows what it is to name.
            Ok(Some(fit)) if !matches!(self.to, To::Name) && !(fit.accepts)(&word) => Err(Fault::Unfit(
                format!("{name} {} is not valid; expected {}", short(&word), fit.expected),
            )),
            Ok(_) => Ok(word),
        }
    }
}

fn word_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A text as far as a message repeats it.
fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// An object that shows every field.
struct Reference<'a>(Resource, &'a [Given]);

impl fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(resource, fields) = self;
        let shown = fields.iter().map(|given| {
            let field = given.field();
            let value = match field.sample {
                Some(sample) => sample.into(),
                None => field.about.replace("RESOURCE", resource.word()).into(),
            };
            (field.name.to_owned(), value)
        });
        write!(f, "{}", Value::Object(shown.collect::<Map<_, _>>()))
    }
}
