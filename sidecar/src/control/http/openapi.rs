//! The description of the API, generated from the tables that it is served by (OpenAPI Specification 3.1.0).

use serde_json::{Map, Value, json};

use super::answers::{NotJson, Refused};
use super::change::Change;
use super::field::{Field, Given, Holds};
use super::routes::{Leads, ROUTES, Route};
use super::shape::{Schemas, Shape, object};

/// The description; `guarded` where callers must show a token.
pub(super) fn document(guarded: bool) -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    for route in ROUTES.iter() {
        let operation = operation(route, guarded, &mut schemas);
        let path = paths.entry(&route.path).or_insert_with(|| path_item(route));
        path[route.method.as_str().to_ascii_lowercase()] = operation;
    }
    let scheme = json!({"type": "http", "scheme": "bearer"});
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Sidecar control plane",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Resources of a running sidecar. Changes take effect at once and lose no connection; \
                            a refused request changes nothing.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"token": scheme}},
    });
    if guarded {
        document["security"] = json!([{"token": []}]);
    }
    document
}

fn path_item(route: &Route) -> Value {
    let names = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameters: Vec<Value> = names.map(parameter).collect();
    if parameters.is_empty() {
        json!({})
    } else {
        json!({"parameters": parameters})
    }
}

fn parameter(name: &str) -> Value {
    let about = match name {
        "session" => {
            "an address at one of its ends, or /REGEX/ over CLIENT->INSTANCE; percent-encoded".to_owned()
        }
        "bind-server" => "the address as IP:PORT".to_owned(),
        other => format!("the name of the {other}"),
    };
    json!({"name": name, "in": "path", "required": true, "description": about, "schema": {"type": "string"}})
}

fn operation(route: &Route, guarded: bool, schemas: &mut Schemas) -> Value {
    let mut operation = json!({
        "operationId": route.about.replace([' ', ':'], "-"),
        "summary": route.about,
        "responses": {},
    });
    let refused = Refused::schema(schemas);
    operation["responses"]["400"] = answer("refused", &refused);
    match &route.leads {
        Leads::Read(read) => {
            operation["responses"]["200"] = answer("what was asked for", &(read.schema)(schemas));
            if route.path.contains('{') {
                operation["responses"]["404"] = answer("there is no such resource", &refused);
            }
        }
        Leads::Document => {
            operation["responses"]["200"] = answer("this description", &json!({"type": "object"}));
        }
        Leads::Change(change) => {
            operation["responses"]["204"] = json!({"description": "done"});
            operation["responses"]["500"] = answer(
                "done, but it could not be saved and is lost at the next start",
                &refused,
            );
            if let Some(fields) = change.fields {
                let schema = body(change, fields);
                let refusal = json!({"oneOf": [refused, NotJson::schema(schemas)]});
                operation["responses"]["400"] = answer("refused; nothing is changed", &refusal);
                operation["requestBody"] =
                    json!({"required": true, "content": {"application/json": {"schema": schema}}});
            }
            if change.removes() {
                operation["parameters"] = json!([force()]);
            }
        }
    }
    if guarded {
        operation["responses"]["401"] = answer("the token is missing or wrong", &refused);
    }
    operation
}

fn answer(about: &str, schema: &Value) -> Value {
    json!({"description": about, "content": {"application/json": {"schema": schema}}})
}

fn force() -> Value {
    json!({
        "name": "force",
        "in": "query",
        "description": "remove it along with whatever uses it; a session is always removed by force",
        "schema": {"type": "boolean"},
    })
}

fn body(change: &Change, fields: &[Given]) -> Value {
    let fields: Vec<&Given> = fields.iter().filter(|given| given.field().is_real()).collect();
    let properties = fields.iter().map(|given| {
        let mut schema = holds(given.field());
        schema["description"] = given
            .field()
            .about
            .replace("RESOURCE", change.resource.word())
            .into();
        if let Given::Else(_, meant) = given {
            schema["default"] = serde_json::from_str(meant).unwrap_or_default();
        }
        (given.field().name.to_owned(), schema)
    });
    let mut schema = object(&change.to_string(), properties.collect());
    let required = fields.iter().filter(|given| given.is_required());
    let required: Vec<&str> = required.map(|given| given.field().name).collect();
    if required.is_empty() {
        schema["minProperties"] = 1.into();
    }
    schema["required"] = required.into();
    schema
}

fn holds(field: &Field) -> Value {
    match field.holds {
        Holds::Text(fit) => json!({"type": "string", "x-expected": fit.expected}),
        Holds::Word(words, _) => json!({"type": "string", "enum": words}),
        Holds::Number(min, max, _) => json!({"type": "integer", "minimum": min, "maximum": max}),
        Holds::Bool => json!({"type": "boolean"}),
        Holds::Anything => json!({}),
    }
}
