//! Arbitrary commands for property tests, generated from the resources' specifications: as words, and as a JSON body.

use ipnet::IpNet;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value as Body};

use super::address::Address;
use super::command::Command;
use super::resources::{Key, Presence, Resource};
use super::sentence::Action;
use super::values::{ALLOW_ALL, Eject, Host, Json, SecurityGroupRef, Value};
use crate::balance::CheckKind;

/// A command, before it is written as words or as JSON.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub(super) action: Action,
    pub(super) resource: Resource,
    /// Empty if the action is to list.
    pub(super) name: String,
    /// The parents, from the nearest to the outermost.
    pub(super) parents: Vec<(Resource, String)>,
    /// Keys with a word for each of their JSON fields.
    pub(super) keys: Vec<(Key, Vec<String>)>,
}

impl Statement {
    pub(super) fn words(&self) -> String {
        let Self { action, resource, .. } = self;
        let mut words = vec![action.to_string(), resource.to_string(), self.name.clone()];
        for (parent, name) in &self.parents {
            words.extend([action.prepositions()[0], parent.word(), name].map(str::to_owned));
        }
        for (key, values) in &self.keys {
            match key.off {
                None => words.extend([key.word.to_owned(), values.join(",")]),
                Some(off) => words.push(if values == &["true"] { key.word } else { off }.to_owned()),
            }
        }
        words.join(" ")
    }

    pub(super) fn json(&self) -> Body {
        let fields = self.keys.iter().flat_map(|(key, values)| key.json().zip(values));
        let mut body: Map<String, Body> = fields
            .map(|(field, word)| (field.name.to_owned(), field.json.value(word)))
            .collect();
        if self.action == Action::Add {
            body.insert("name".to_owned(), self.name.clone().into());
        }
        body.into()
    }

    pub(super) fn command(&self) -> Command {
        let words = self.words();
        words.parse().unwrap_or_else(|e| panic!("{words}: {e}"))
    }
}

/// Few names, so that commands refer to each other; some are words of the language.
fn name() -> impl Strategy<Value = String> + Clone {
    select(vec![
        "x",
        "y",
        "a.my.service.com:80",
        "address",
        "to",
        "in",
        "weight",
        "list",
        "é",
        "[::1]:80",
    ])
    .prop_map(str::to_owned)
}

fn address() -> impl Strategy<Value = String> {
    (
        select(vec!["127.0.0.1", "10.1.2.3", "[::1]"]),
        select(vec![0_u16, 80, 81]),
    )
        .prop_map(|(ip, port)| format!("{ip}:{port}"))
}

fn network() -> impl Strategy<Value = String> {
    let v4 = (any::<[u8; 4]>(), 0..=32_u8).prop_map(|(ip, bits)| IpNet::new(ip.into(), bits));
    let v6 = (any::<[u8; 16]>(), 0..=128_u8).prop_map(|(ip, bits)| IpNet::new(ip.into(), bits));
    prop_oneof![v4, v6].prop_map(|network| network.unwrap().trunc().to_string())
}

/// A word for each of a key's JSON fields.
fn words(key: Key) -> BoxedStrategy<Vec<String>> {
    let fields: Vec<_> = key.json().copied().collect();
    let words: Vec<BoxedStrategy<String>> = fields
        .iter()
        .map(|field| match field.json {
            Json::OneOf(words) => select(words).prop_map(str::to_owned).boxed(),
            // Low numbers are likely, and include the default weight.
            Json::Integer { min, max } => prop_oneof![min..=max, min..=10.max(min)]
                .prop_map(|n| n.to_string())
                .boxed(),
            Json::Bool => any::<bool>().prop_map(|b| b.to_string()).boxed(),
            Json::Text if field.expected == Address::EXPECTED => {
                prop_oneof![4 => address(), 1 => Just("localhost:80".to_owned())].boxed()
            }
            Json::Text if field.expected == IpNet::EXPECTED => network().boxed(),
            Json::Text if field.expected == SecurityGroupRef::EXPECTED => {
                prop_oneof![name(), Just(ALLOW_ALL.to_owned())].boxed()
            }
            Json::Text if field.expected == Host::EXPECTED => select(vec!["api.invalid", "localhost"])
                .prop_map(str::to_owned)
                .boxed(),
            Json::Text if field.expected == CheckKind::EXPECTED => {
                select(vec!["tcp", "passive", "http /healthz"])
                    .prop_map(str::to_owned)
                    .boxed()
            }
            Json::Text if field.expected == Eject::EXPECTED => {
                select(vec!["off", "5 for 30000"]).prop_map(str::to_owned).boxed()
            }
            Json::Text => name().boxed(),
        })
        .collect();
    let ordered = |mut words: Vec<String>| {
        // The first and the last of a range.
        words.sort_by_key(|word| word.parse::<u32>().ok());
        words
    };
    words.prop_map(ordered).boxed()
}

/// A resource and each of its parents.
fn parents(
    resources: impl Iterator<Item = Resource>,
) -> impl Strategy<Value = (Resource, Vec<(Resource, String)>)> {
    let each =
        resources.flat_map(|resource| resource.parents().iter().map(move |parents| (resource, *parents)));
    select(each.collect::<Vec<_>>()).prop_flat_map(|(resource, parents)| {
        let named = parents.iter().map(|parent| match parent {
            Resource::BindServer => (Just(*parent), address().boxed()),
            _ => (Just(*parent), name().boxed()),
        });
        (Just(resource), named.collect::<Vec<_>>())
    })
}

fn statement(
    actions: &'static [Action],
    resources: impl Iterator<Item = Resource>,
    keys: fn(Action, Resource) -> BoxedStrategy<Vec<Key>>,
) -> impl Strategy<Value = Statement> {
    (select(actions), parents(resources), name()).prop_flat_map(move |(action, (resource, parents), name)| {
        let values = keys(action, resource).prop_flat_map(|keys| {
            let values = keys.into_iter().map(|key| (Just(key), words(key)));
            values.collect::<Vec<_>>()
        });
        values.prop_map(move |keys| Statement {
            action,
            resource,
            name: name.clone(),
            parents: parents.clone(),
            keys,
        })
    })
}

fn configured() -> impl Iterator<Item = Resource> {
    Resource::ALL
        .iter()
        .copied()
        .filter(|resource| resource.is_configured())
}

fn no_keys(_: Action, _: Resource) -> BoxedStrategy<Vec<Key>> {
    Just(Vec::new()).boxed()
}

/// The required keys and some of the others.
fn keys_to_add(_: Action, resource: Resource) -> BoxedStrategy<Vec<Key>> {
    let (required, other): (Vec<Key>, Vec<Key>) = resource
        .spec()
        .keys
        .iter()
        .partition(|key| key.presence == Presence::Required);
    let count = other.len();
    subsequence(other, 0..=count)
        .prop_map(move |some| required.iter().copied().chain(some).collect())
        .boxed()
}

/// At least one of the keys that can be updated.
fn keys_to_update(_: Action, resource: Resource) -> BoxedStrategy<Vec<Key>> {
    let keys: Vec<Key> = resource.spec().updatable().copied().collect();
    let count = keys.len();
    subsequence(keys, 1..=count).boxed()
}

/// A command that changes the configuration.
pub(super) fn change() -> impl Strategy<Value = Statement> {
    let updatable = configured().filter(|resource| resource.spec().updatable().count() > 0);
    prop_oneof![
        6 => statement(&[Action::Add], configured(), keys_to_add),
        2 => statement(&[Action::Update], updatable, keys_to_update),
        2 => statement(&[Action::Remove, Action::ForceRemove], configured(), no_keys),
    ]
}

fn session() -> impl Strategy<Value = Statement> {
    let which = select(vec![
        "127.0.0.1:5000",
        "/^10\\./",
        "127.0.0.1:1->10.0.0.1:2",
        "//",
    ]);
    let statement = statement(
        &[Action::ForceRemove],
        std::iter::once(Resource::Session),
        no_keys,
    );
    (which, statement).prop_map(|(which, statement)| Statement {
        name: which.to_owned(),
        ..statement
    })
}

fn list() -> impl Strategy<Value = Statement> {
    let all = Resource::ALL.iter().copied();
    statement(&[Action::List, Action::ListDetail], all, no_keys).prop_map(|statement| Statement {
        name: String::new(),
        ..statement
    })
}

/// Any command.
pub(super) fn any_command() -> impl Strategy<Value = Statement> {
    prop_oneof![8 => change(), 1 => session(), 4 => list()]
}
