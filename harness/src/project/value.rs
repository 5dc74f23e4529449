//! Reading the values that Compose prints.

use serde_json::Value;

/// The value of a key; `None` if it is missing or null.
pub(super) fn field<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    value.get(key).filter(|value| !value.is_null())
}

/// The text of a string, a number or a boolean.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The entries of a map; none if the key is missing.
pub(super) fn map<'a>(value: &'a Value, key: &str) -> Result<Vec<(&'a str, &'a Value)>, String> {
    match field(value, key) {
        None => Ok(Vec::new()),
        Some(Value::Object(entries)) => {
            Ok(entries.iter().map(|(key, value)| (key.as_str(), value)).collect())
        }
        Some(other) => Err(format!("{key}: expected a map, found {other}")),
    }
}

/// The elements of a list; none if the key is missing.
pub(super) fn list<'a>(value: &'a Value, key: &str) -> Result<&'a [Value], String> {
    match field(value, key) {
        None => Ok(&[]),
        Some(Value::Array(elements)) => Ok(elements),
        Some(other) => Err(format!("{key}: expected a list, found {other}")),
    }
}

/// The texts of a list; of a map, its keys.
pub(super) fn names(value: &Value, key: &str) -> Result<Vec<String>, String> {
    if let Some(Value::Object(entries)) = field(value, key) {
        return Ok(entries.keys().cloned().collect());
    }
    let of = |element: &Value| text(element).ok_or_else(|| format!("{key}: expected texts, found {element}"));
    list(value, key)?.iter().map(of).collect()
}
