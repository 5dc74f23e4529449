//! Reading a JSON object key by key, with errors that name the key.
//!
//! Derived deserialization would also take an array for an object, which the protocol does not.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::{MAX_NAME, Malformed};

/// The keys of one JSON object, and what the object is called in errors.
pub(super) struct Fields<'a> {
    what: &'a str,
    map: Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(what: &'a str, value: Value) -> Result<Self, Malformed> {
        match value {
            Value::Object(map) => Ok(Self { what, map }),
            other => Err(Malformed::new(format!(
                "{what}: expected an object, found {}",
                kind_of(&other)
            ))),
        }
    }

    fn wrong(&self, key: &str, expected: &str) -> Malformed {
        let found = self.map.get(key).map_or("nothing", kind_of);
        Malformed::new(format!(
            "{}: {key}: expected {expected}, found {found}",
            self.what
        ))
    }

    /// A value of any kind.
    pub(super) fn take(&mut self, key: &str) -> Result<Value, Malformed> {
        self.map
            .swap_remove(key)
            .ok_or_else(|| self.wrong(key, "a value"))
    }

    /// A string of any length.
    pub(super) fn text(&mut self, key: &str) -> Result<String, Malformed> {
        match self.map.get_mut(key) {
            Some(Value::String(text)) => Ok(std::mem::take(text)),
            _ => Err(self.wrong(key, "a string")),
        }
    }

    /// A string short and printable enough for a name.
    pub(super) fn name(&mut self, key: &str) -> Result<String, Malformed> {
        let name = self.text(key)?;
        check_name(&name).map_err(|why| Malformed::new(format!("{}: {key}: {why}", self.what)))?;
        Ok(name)
    }

    pub(super) fn port(&self, key: &str) -> Result<u16, Malformed> {
        self.map
            .get(key)
            .and_then(Value::as_u64)
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port != 0)
            .ok_or_else(|| self.wrong(key, "a port number 1..65535"))
    }

    pub(super) fn number(&self, key: &str) -> Result<i64, Malformed> {
        let number = self.map.get(key).and_then(Value::as_i64);
        number.ok_or_else(|| self.wrong(key, "a whole number"))
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool, Malformed> {
        let flag = self.map.get(key).and_then(Value::as_bool);
        flag.ok_or_else(|| self.wrong(key, "true or false"))
    }

    /// An IP address as text; IPv6 also in brackets.
    pub(super) fn address(&self, key: &str) -> Result<IpAddr, Malformed> {
        let text = self.map.get(key).and_then(Value::as_str);
        text.and_then(parse_address)
            .ok_or_else(|| self.wrong(key, "an IP address"))
    }
}

/// An IP address as text; IPv6 also in brackets.
pub(super) fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(text).parse().ok()
}

/// The elements of an array of at most `most`.
pub(super) fn array(what: &str, most: usize, value: Value) -> Result<Vec<Value>, Malformed> {
    match value {
        Value::Array(elements) if elements.len() <= most => Ok(elements),
        Value::Array(elements) => Err(Malformed::new(format!(
            "{what}: expected at most {most} elements, found {}",
            elements.len()
        ))),
        other => Err(Malformed::new(format!(
            "{what}: expected an array, found {}",
            kind_of(&other)
        ))),
    }
}

/// Whether a text can be a name on the wire: at most [`MAX_NAME`] bytes, no control characters.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if name.len() > MAX_NAME {
        return Err(format!("expected at most {MAX_NAME} bytes, found {}", name.len()));
    }
    if name.chars().any(char::is_control) {
        return Err("expected no control characters".to_owned());
    }
    Ok(())
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number that does not fit",
        Value::String(_) => "a string that does not fit",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
