//! The checked-in description matches the routes. `UPDATE_DOCS=1 cargo test -p sidecar --lib -- reference openapi` writes it.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{DOCUMENT, document, generator};
use crate::control::http::routes::ROUTES;

#[test]
fn the_description_is_that_of_the_routes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/control/http/openapi/document.json");
    let generated = serde_json::to_string_pretty(&generator::document()).expect("JSON") + "\n";
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, generated).expect("the description is written");
    } else {
        assert!(
            DOCUMENT == generated,
            "document.json is out of date: UPDATE_DOCS=1 cargo test -p sidecar --lib -- reference openapi"
        );
    }
}

#[test]
fn the_document_has_every_route_and_resolves() {
    let document = document(false);
    let mut ids = HashSet::new();
    for route in ROUTES.iter() {
        let operation = &document["paths"][&route.path][route.method.as_str().to_ascii_lowercase()];
        let id = operation["operationId"].as_str().expect("an id");
        assert!(ids.insert(id.to_owned()), "{id} is there twice");
        assert!(
            operation["responses"].as_object().is_some_and(|r| r.len() > 1),
            "{id}"
        );
    }
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths
        .values()
        .flat_map(|p| p.as_object().expect("a path item").keys());
    assert_eq!(
        operations.filter(|key| *key != "parameters").count(),
        ROUTES.len()
    );
    every_reference(&document, &mut |reference| {
        let pointer = reference
            .strip_prefix('#')
            .expect("a reference into the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    });
}

fn every_reference(value: &Value, see: &mut impl FnMut(&str)) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                see(reference);
            }
            object.values().for_each(|v| every_reference(v, see));
        }
        Value::Array(array) => array.iter().for_each(|v| every_reference(v, see)),
        _ => {}
    }
}
