//! The tables against the command language: they say neither more nor less than it does.

use std::collections::HashSet;

use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::field::{Field, Given, Holds, To};
use super::openapi;
use super::routes::{Leads, ROUTES, Route};
use super::{Change, find};
use crate::control::arbitrary;
use crate::control::command::Command;
use crate::control::grammar::{Action, Key, Resource, Sentence};

fn changes() -> impl Iterator<Item = (&'static Route, &'static Change)> {
    ROUTES.iter().filter_map(|route| match &route.leads {
        Leads::Change(change) => Some((route, change)),
        _ => None,
    })
}

fn fields() -> impl Iterator<Item = &'static Given> {
    changes().flat_map(|(_, change)| change.fields.unwrap_or_default())
}

/// A route's path with names in it.
fn filled<'a>(path: &str, mut names: impl Iterator<Item = &'a str>) -> String {
    let fill = |part: &str| match part.starts_with('{') {
        true => utf8_percent_encode(names.next().expect("a name for each"), NON_ALPHANUMERIC).to_string(),
        false => part.to_owned(),
    };
    path.split('/').map(fill).collect::<Vec<_>>().join("/")
}

/// A word of the command language as the field's JSON.
fn value(field: &Field, word: &str) -> Value {
    match field.holds {
        Holds::Number(..) => word.parse::<u32>().expect("a number").into(),
        _ => word.into(),
    }
}

/// The body that says what a sentence says.
fn body(change: &Change, sentence: &Sentence) -> Value {
    let mut body = Map::new();
    for field in change.fields.unwrap_or_default().iter().map(Given::field) {
        let word = |key| {
            sentence
                .keys
                .iter()
                .find(|(k, _)| *k == key)
                .map(|(_, word)| word.as_str())
        };
        let half = |key, nth| word(key).and_then(|w| w.split(',').nth(nth));
        let said = match field.to {
            To::Name => Some(sentence.name.as_str().into()),
            To::Key(key) => word(key).map(|w| value(field, w)),
            To::First(key) => half(key, 0).map(|w| value(field, w)),
            To::Last => half(Key::PortRange, 1).map(|w| value(field, w)),
            To::Flag { yes, no } => match (sentence.flags.contains(&yes), sentence.flags.contains(&no)) {
                (false, false) => None,
                (said_yes, _) => Some(said_yes.into()),
            },
            To::Nothing { .. } => None,
        };
        body.extend(said.map(|value| (field.name.to_owned(), value)));
    }
    Value::Object(body)
}

/// The request for a change said in words: its method, path and body.
fn request(words: &str) -> Option<(Method, String, Option<bool>, Value)> {
    let words: Vec<&str> = words.split_whitespace().collect();
    let sentence = Sentence::parse(&words).ok()?;
    let removal = |action| matches!(action, Action::Remove | Action::ForceRemove);
    let (route, change) = changes().find(|(_, change)| {
        (change.action == sentence.action || removal(change.action) && removal(sentence.action))
            && change.resource == sentence.resource
            && change.within.as_slice() == sentence.places.iter().map(|p| p.resource).collect::<Vec<_>>()
    })?;
    let place = sentence.places.iter().map(|p| p.name.as_str());
    let path = filled(&route.path, place.chain([sentence.name.as_str()]));
    let force = change.removes().then_some(sentence.action == Action::ForceRemove);
    Some((route.method.clone(), path, force, body(change, &sentence)))
}

/// The path to read what is listed in words.
fn reading(words: &str) -> String {
    let words: Vec<&str> = words.split_whitespace().collect();
    let sentence = Sentence::parse(&words).expect("a sentence");
    let places = || sentence.places.iter().rev();
    let names = places().map(|place| place.name.as_str());
    let places: String = places().map(|p| format!("/{0}/{{{0}}}", p.resource)).collect();
    let (under, last) = match sentence.resource {
        Resource::BytesIn | Resource::BytesOut | Resource::AcceptedConnCount => {
            ("statistics", sentence.resource.word())
        }
        Resource::Connection => ("channel", "conn"),
        Resource::Session | Resource::BindServer => ("channel", sentence.resource.word()),
        other => ("module", other.word()),
    };
    filled(&format!("/api/v1/{under}{places}/{last}"), names)
}

proptest! {
    /// Whatever can be said in words can be said here, and means the same.
    #[test]
    fn a_request_says_what_words_say(command in arbitrary::command()) {
        let words = command.to_string();
        if let Command::List { .. } = command {
            let path = reading(&words);
            prop_assert!(find(&Method::GET, &path).is_some(), "{}: nothing at {}", words, path);
            return Ok(());
        }
        let Some((method, path, force, body)) = request(&words) else {
            return Err(TestCaseError::fail(format!("no route says {words}")));
        };
        let (route, names) = find(&method, &path).expect("the route that the path is of");
        let Leads::Change(change) = &route.leads else {
            return Err(TestCaseError::fail(format!("{method} {path} does not change anything")));
        };
        let (said, _) = change
            .command(&names, force, body.to_string().as_bytes())
            .map_err(|fault| TestCaseError::fail(format!("{words}: {method} {path} {body}: {fault:?}")))?;
        prop_assert_eq!(said, command, "{} {} {}", method, path, body);
    }

    #[test]
    fn no_body_is_too_odd(body in odd_body(), names in prop::collection::vec(".*", 2)) {
        for (_, change) in changes() {
            let _ = change.command(&names, None, body.to_string().as_bytes());
        }
    }

    #[test]
    fn nor_are_any_bytes(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for (_, change) in changes() {
            let _ = change.command(&["x".to_owned(), "y".to_owned()], Some(true), &body);
        }
    }
}

/// Bodies with the right names and anything behind them.
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
    let names: Vec<&str> = fields().map(|given| given.field().name).collect();
    let fields = prop::collection::btree_map(prop::sample::select(names), value, 0..8);
    fields.prop_map(|fields| fields.into_iter().collect())
}

#[test]
fn documented_bounds_are_those_that_are_checked() {
    for field in fields().map(Given::field) {
        match field.holds {
            Holds::Number(min, max, fit) => {
                for (number, fits) in [
                    (i64::from(min) - 1, false),
                    (min.into(), true),
                    (max.into(), true),
                    (i64::from(max) + 1, false),
                ] {
                    assert_eq!(
                        (fit.accepts)(&number.to_string()),
                        fits,
                        "{}: {number}",
                        field.name
                    );
                }
                assert!(field.sample.is_none_or(|sample| (min..=max).contains(&sample)));
            }
            Holds::Word(words, fit) => {
                assert!(words.iter().all(|word| (fit.accepts)(word)), "{}", field.name);
                assert!(!(fit.accepts)("other"), "{}", field.name);
            }
            Holds::Text(_) | Holds::Bool | Holds::Anything => {}
        }
    }
}

/// What is meant where a field is left out is what the document says.
#[test]
fn documented_defaults_are_those_that_are_meant() {
    for (route, change) in changes() {
        let fields = change.fields.unwrap_or_default();
        let example = |given: &Given| {
            let field = given.field();
            let value = match (field.holds, field.name) {
                (Holds::Number(min, ..), _) => json!(min),
                (Holds::Word(words, _), _) => json!(words[0]),
                (_, "address") => json!("127.0.0.1:80"),
                (_, "clientNetwork") => json!("10.0.0.0/8"),
                _ => json!("x"),
            };
            (field.name.to_owned(), value)
        };
        let required: Map<_, _> = fields
            .iter()
            .filter(|given| given.is_required())
            .map(example)
            .collect();
        let names = ["a".to_owned(), "b".to_owned()];
        let names = &names[..route.path.matches('{').count()];
        let command = |body: &Map<String, Value>| {
            let body = Value::Object(body.clone()).to_string();
            change
                .command(names, None, body.as_bytes())
                .map(|(command, _)| command)
        };
        for given in fields {
            if let Given::Else(field, meant) = given {
                let mut explicit = required.clone();
                explicit.insert(field.name.to_owned(), serde_json::from_str(meant).expect("JSON"));
                assert_eq!(
                    command(&required).unwrap(),
                    command(&explicit).unwrap(),
                    "{}",
                    field.name
                );
            }
        }
    }
}

#[test]
fn the_document_has_every_route_and_resolves() {
    let document = openapi::document(false);
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
