//! The routes against the command language: HTTP can express exactly what words can.

use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::routes::{Leads, ROUTES};
use super::{Change, find};
use crate::control::arbitrary::{self, Statement};
use crate::control::resources::{BodyField, Presence, Removal, Resource};
use crate::control::sentence::Action;
use crate::control::values::Json;

fn changes() -> impl Iterator<Item = &'static Change> {
    ROUTES.iter().filter_map(|route| match &route.leads {
        Leads::Change(change) => Some(change),
        _ => None,
    })
}

fn fields() -> impl Iterator<Item = &'static BodyField> {
    changes().flat_map(|change| change.fields.iter().flatten())
}

/// The request that expresses a command: its method and path.
fn request(statement: &Statement) -> (Method, String) {
    let root = match statement.resource {
        Resource::BytesIn | Resource::BytesOut | Resource::AcceptedConnCount => "statistics",
        Resource::Connection | Resource::Session | Resource::BindServer => "channel",
        _ => "module",
    };
    let last = match statement.resource {
        Resource::Connection => "conn",
        other => other.word(),
    };
    let mut path = format!("/api/v1/{root}");
    for (parent, name) in statement.parents.iter().rev() {
        path += &format!("/{parent}/{}", utf8_percent_encode(name, NON_ALPHANUMERIC));
    }
    path += &format!("/{last}");
    let method = match statement.action {
        Action::Add => Method::POST,
        Action::Update => Method::PUT,
        Action::Remove | Action::ForceRemove => Method::DELETE,
        Action::List | Action::ListDetail => Method::GET,
    };
    if matches!(method, Method::PUT | Method::DELETE) {
        path += &format!("/{}", utf8_percent_encode(&statement.name, NON_ALPHANUMERIC));
    }
    (method, path)
}

proptest! {
    #[test]
    fn a_request_and_its_words_are_the_same_command(statement in arbitrary::any_command()) {
        let (method, path) = request(&statement);
        let Some((route, names)) = find(&method, &path) else {
            return Err(TestCaseError::fail(format!("{}: no route for {method} {path}", statement.words())));
        };
        match &route.leads {
            Leads::Change(change) => {
                let removal = match statement.action {
                    Action::ForceRemove => Removal::Force,
                    _ => Removal::Unused,
                };
                let body = statement.json().to_string();
                let command = change
                    .command(&names, removal, body.as_bytes())
                    .map_err(|error| TestCaseError::fail(format!("{method} {path} {body}: {error:?}")))?;
                prop_assert_eq!(command.command, statement.command(), "{} {} {}", method, path, body);
            }
            _ => prop_assert_eq!(method, Method::GET),
        }
    }

    #[test]
    fn odd_bodies_are_refused_without_a_panic(body in odd_body(), names in prop::collection::vec(".*", 2)) {
        for change in changes() {
            let _ = change.command(&names, Removal::Unused, body.to_string().as_bytes());
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for change in changes() {
            let _ = change.command(&["x".to_owned(), "y".to_owned()], Removal::Cascade, &body);
        }
    }
}

/// Bodies with known names and arbitrary values.
fn odd_body() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        Just(json!("127.0.0.1:80")),
        (0..70000_u32).prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(".*", inner, 0..3).prop_map(|m| m.into_iter().collect()),
        ]
    });
    let names: Vec<&str> = fields().map(|field| field.field.name).collect();
    let fields = prop::collection::btree_map(prop::sample::select(names), value, 0..8);
    fields.prop_map(|fields| fields.into_iter().collect())
}

/// A body with the required fields, and one more value.
fn body(change: &Change, other: Option<(&str, Value)>) -> String {
    let required = change
        .fields
        .iter()
        .flatten()
        .filter(|f| f.presence == Presence::Required);
    let mut body: serde_json::Map<String, Value> = required
        .map(|f| {
            let value = match (f.field.json, f.field.name) {
                (Json::Integer { min, .. }, _) => json!(min),
                (Json::OneOf(words), _) => json!(words[0]),
                (_, "address") => json!("127.0.0.1:80"),
                (_, "clientNetwork") => json!("10.0.0.0/8"),
                _ => json!("x"),
            };
            (f.field.name.to_owned(), value)
        })
        .collect();
    body.extend(other.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(body).to_string()
}

fn is_accepted(change: &Change, body: &str) -> bool {
    let names = ["a".to_owned(), "b".to_owned()];
    change.command(&names, Removal::Unused, body.as_bytes()).is_ok()
}

#[test]
fn documented_bounds_are_those_that_are_checked() {
    for change in changes() {
        for BodyField { field, .. } in change.fields.iter().flatten() {
            let accepts = |value: Value| is_accepted(change, &body(change, Some((field.name, value))));
            match field.json {
                Json::Integer { min, max } => {
                    assert!(!accepts(json!(i64::from(min) - 1)), "{}", field.name);
                    assert!(accepts(json!(min)), "{}", field.name);
                    assert!(accepts(json!(max)), "{}", field.name);
                    assert!(!accepts(json!(i64::from(max) + 1)), "{}", field.name);
                    assert!(field.sample.is_none_or(|sample| (min..=max).contains(&sample)));
                }
                Json::OneOf(words) => {
                    assert!(words.iter().all(|word| accepts(json!(word))), "{}", field.name);
                    assert!(!accepts(json!("other")), "{}", field.name);
                }
                Json::Text | Json::Bool => {}
            }
        }
    }
}

#[test]
fn documented_defaults_are_those_that_apply() {
    let names = ["a".to_owned(), "b".to_owned()];
    for change in changes() {
        let command = |body: String| change.command(&names, Removal::Unused, body.as_bytes()).unwrap();
        for BodyField { field, presence, .. } in change.fields.iter().flatten() {
            if let Presence::Default(word) = presence {
                let explicit = body(change, Some((field.name, field.json.value(word))));
                assert_eq!(command(body(change, None)), command(explicit), "{}", field.name);
            }
        }
    }
}
