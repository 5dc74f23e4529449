//! The bodies of exchanges, of nodes and of services, as the original writes them.

use std::sync::Arc;

use serde::Serialize;
use serde::de::MapAccess;
use serde_json::json;

use super::fields::{ARRAY, Missing, Object, TEXT, Value, read_list, read_object};
use super::{
    Dropped, MAX_HASH, MAX_META, MAX_NODES, MAX_SERVICES, Malformed, Node, NodeChange, NodeServices,
    NodeState,
};

/// The path of every exchange, up to its type.
pub const PATH_PREFIX: &str = "/discovery/api/v1/exchange/";

/// The header, in requests and answers, that says that a node gossips (see [`super::Gossip`]). Other implementations
/// ignore it.
pub const GOSSIP_HEADER: &str = "mesh-gossip";

/// The types of exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExchangeKind {
    /// Exchanges all known nodes, both ways.
    Nodes,
    /// Exchanges the lists of the two nodes.
    Local,
    /// Announces an added service node.
    Add,
    /// Announces a removed service node.
    Remove,
    /// Compares the hashes of all lists.
    Hash,
    /// Sends all lists, to find those that differ.
    Sync,
}

impl ExchangeKind {
    /// Every type.
    pub const ALL: [Self; 6] = [
        Self::Nodes,
        Self::Local,
        Self::Add,
        Self::Remove,
        Self::Hash,
        Self::Sync,
    ];

    /// Its name on the wire: the last segment of the path.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nodes => "node",
            Self::Local => "khala.local",
            Self::Add => "khala.add",
            Self::Remove => "khala.remove",
            Self::Hash => "khala.hash",
            Self::Sync => "khala.sync",
        }
    }

    /// Limit of the body of a request or an answer, in bytes. Allows up to 768 bytes for each node and up to 2 KiB
    /// for each service node: names and addresses at their longest, and some `meta`.
    pub fn max_body(self) -> usize {
        match self {
            Self::Nodes => MAX_NODES * 768,
            Self::Local => MAX_SERVICES * 2048,
            Self::Add | Self::Remove => 8 * 1024 + MAX_META,
            Self::Hash => MAX_HASH + 64,
            Self::Sync => 4 << 20,
        }
    }

    /// The type with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A request of one node to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// All nodes that the sender knows, itself included.
    Nodes(Vec<NodeState>),
    /// The sender's whole list.
    Local(NodeServices),
    /// The sender adds a service node.
    Add(NodeChange),
    /// The sender removes a service node.
    Remove(NodeChange),
    /// The sender's hash.
    Hash(Arc<str>),
    /// All lists that the sender knows.
    Sync(Vec<NodeServices>),
}

impl Request {
    /// Its type.
    pub fn kind(&self) -> ExchangeKind {
        match self {
            Self::Nodes(_) => ExchangeKind::Nodes,
            Self::Local(_) => ExchangeKind::Local,
            Self::Add(_) => ExchangeKind::Add,
            Self::Remove(_) => ExchangeKind::Remove,
            Self::Hash(_) => ExchangeKind::Hash,
            Self::Sync(_) => ExchangeKind::Sync,
        }
    }

    /// The JSON body.
    pub fn body(&self) -> Vec<u8> {
        match self {
            Self::Nodes(nodes) => encode(nodes),
            Self::Local(list) => encode(list),
            Self::Add(change) | Self::Remove(change) => encode(change),
            Self::Hash(hash) => encode(&json!({ "hash": &**hash })),
            Self::Sync(lists) => encode(lists),
        }
    }

    /// Decodes the JSON body of a request of this type. List elements that cannot be used are left out, and noted in
    /// `dropped`.
    ///
    /// # Errors
    /// If it is not JSON, lacks a key, has a value of a wrong type, or exceeds the bounds of [`super`] outside a list.
    pub fn parse(kind: ExchangeKind, body: &[u8], dropped: &mut Dropped) -> Result<Self, Malformed> {
        Ok(match kind {
            ExchangeKind::Nodes => Self::Nodes(read_list("body", "node", MAX_NODES, body, dropped)?),
            ExchangeKind::Local => Self::Local(read_object("body", body, dropped)?),
            ExchangeKind::Add => Self::Add(read_object("body", body, dropped)?),
            ExchangeKind::Remove => Self::Remove(read_object("body", body, dropped)?),
            ExchangeKind::Hash => Self::Hash(read_hash(body, dropped)?),
            ExchangeKind::Sync => Self::Sync(read_list("body", "body", MAX_NODES, body, dropped)?),
        })
    }
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// All nodes that the receiver knows, itself included.
    Nodes(Vec<NodeState>),
    /// The receiver's own list.
    Local(NodeServices),
    /// Accepted: 204, no body.
    Done,
    /// The receiver's hash.
    Hash(Arc<str>),
    /// The nodes whose lists differ between the two.
    Diff(Vec<Node>),
}

impl Answer {
    /// The JSON body; empty for [`Answer::Done`].
    pub fn body(&self) -> Option<Vec<u8>> {
        match self {
            Self::Nodes(nodes) => Some(encode(nodes)),
            Self::Local(list) => Some(encode(list)),
            Self::Done => None,
            Self::Hash(hash) => Some(encode(&json!({ "hash": &**hash }))),
            Self::Diff(nodes) => Some(encode(&json!({ "diff": nodes }))),
        }
    }

    /// Decodes the body of a successful answer to a request of this type.
    ///
    /// # Errors
    /// As [`Request::parse`].
    pub fn parse(kind: ExchangeKind, body: &[u8], dropped: &mut Dropped) -> Result<Self, Malformed> {
        Ok(match kind {
            ExchangeKind::Nodes => Self::Nodes(read_list("body", "node", MAX_NODES, body, dropped)?),
            ExchangeKind::Local => Self::Local(read_object("body", body, dropped)?),
            ExchangeKind::Add | ExchangeKind::Remove => Self::Done,
            ExchangeKind::Hash => Self::Hash(read_hash(body, dropped)?),
            ExchangeKind::Sync => {
                let Diff(nodes) = read_object("body", body, dropped)?;
                Self::Diff(nodes)
            }
        })
    }
}

fn read_hash(body: &[u8], dropped: &mut Dropped) -> Result<Arc<str>, Malformed> {
    let Hash(hash) = read_object("body", body, dropped)?;
    Ok(hash.into())
}

// The hashed text grows with the mesh: its bound is the body's.
struct Hash(String);

impl Object for Hash {
    const KEYS: &'static [&'static str] = &["hash"];
    type Parts = Option<String>;

    fn take<'de, A: MapAccess<'de>>(parts: &mut Self::Parts, value: Value<'_, A>) -> Result<(), A::Error> {
        *parts = Some(value.text()?);
        Ok(())
    }

    fn build(parts: Self::Parts) -> Result<Self, Missing> {
        parts.map(Self).ok_or(Missing("hash", TEXT))
    }
}

struct Diff(Vec<Node>);

impl Object for Diff {
    const KEYS: &'static [&'static str] = &["diff"];
    type Parts = Option<Vec<Node>>;

    fn take<'de, A: MapAccess<'de>>(parts: &mut Self::Parts, value: Value<'_, A>) -> Result<(), A::Error> {
        *parts = Some(value.list("diff", MAX_NODES)?);
        Ok(())
    }

    fn build(parts: Self::Parts) -> Result<Self, Missing> {
        parts.map(Self).ok_or(Missing("diff", ARRAY))
    }
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    // Maps with string keys, strings and numbers always serialize.
    serde_json::to_vec(value).unwrap_or_default()
}
