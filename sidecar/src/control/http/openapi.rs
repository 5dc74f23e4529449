//! The description of the API (OpenAPI Specification 3.1.0). It is checked in, so that the program need not contain what
//! generates it; a test compares it.

#[cfg(test)]
mod generator;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

/// As callers see it that need no token.
const DOCUMENT: &str = include_str!("openapi/document.json");

/// The description; `guarded` if callers must present a token.
pub(super) fn document(guarded: bool) -> Value {
    let mut document = serde_json::from_str(DOCUMENT).unwrap_or_default();
    if guarded {
        guard(&mut document);
    }
    document
}

/// Adds that each operation needs the token.
fn guard(document: &mut Value) {
    let refused = json!({"$ref": "#/components/schemas/Refused"});
    let answer = json!({
        "description": "the token is missing or wrong",
        "content": {"application/json": {"schema": refused}},
    });
    let paths = document["paths"]
        .as_object_mut()
        .into_iter()
        .flat_map(|paths| paths.values_mut());
    let items = paths
        .filter_map(Value::as_object_mut)
        .flat_map(|item| item.values_mut());
    for responses in items.filter_map(|item| item.get_mut("responses")?.as_object_mut()) {
        responses.insert("401".to_owned(), answer.clone());
        responses.sort_keys();
    }
    document["security"] = json!([{"token": []}]);
}
