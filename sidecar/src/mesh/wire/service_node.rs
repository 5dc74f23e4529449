//! A service node: one instance of a service, offered behind a node.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::fields::{Fields, array, parse_address};
use super::{MAX_META, MAX_SERVICES, Malformed, Node};
use crate::balance::service::{Instance, Offer, ServiceId};

/// The weight of an instance that does not say one (discovery protocol: service exchange).
const DEFAULT_WEIGHT: u32 = 10;

/// One instance of a service as the wire carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceNode {
    /// The service's name.
    pub service: String,
    /// The zone that keeps equal names apart.
    pub zone: String,
    /// Its address, in the teller's words: the hash is taken over them.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// What else is said of it, the weight among it; passed on unchanged.
    pub meta: Map<String, Value>,
}

impl ServiceNode {
    /// What makes it the same service node, in the order in which lists are sorted.
    pub fn key(&self) -> (&str, &str, &str, u16) {
        (&self.service, &self.zone, &self.address, self.port)
    }

    /// Its share of connections: `meta.weight`, 10 where that is missing, 0 where it is negative.
    pub fn weight(&self) -> u32 {
        let Some(Value::Number(weight)) = self.meta.get("weight") else {
            return DEFAULT_WEIGHT;
        };
        match (weight.as_i64(), weight.as_f64()) {
            (Some(weight), _) => u32::try_from(weight.max(0)).unwrap_or(u32::MAX),
            // `as` saturates: a float or a number beyond i64 becomes the nearest weight.
            (None, Some(weight)) => weight as u32,
            (None, None) => DEFAULT_WEIGHT,
        }
    }

    /// What the balancer knows of it; nothing where the address is not an IP address.
    pub fn instance(&self) -> Option<(ServiceId, Instance)> {
        let address = SocketAddr::new(parse_address(&self.address)?, self.port);
        let id = ServiceId {
            service: self.service.clone(),
            zone: self.zone.clone(),
        };
        Some((
            id,
            Instance {
                address,
                weight: self.weight(),
            },
        ))
    }

    /// Appends `service,zone,address,port,`: its part of the hashed text.
    pub(super) fn write_text(&self, text: &mut String) {
        use std::fmt::Write;
        let Self {
            service,
            zone,
            address,
            port,
            ..
        } = self;
        // Writing to a String cannot fail.
        let _ = write!(text, "{service},{zone},{address},{port},");
    }

    pub(super) fn read(value: Value) -> Result<Self, Malformed> {
        let mut fields = Fields::of("khalaNode", value)?;
        let node = Self {
            service: fields.name("service")?,
            zone: fields.name("zone")?,
            address: fields.name("address")?,
            port: fields.port("port")?,
            meta: match fields.take("meta")? {
                Value::Object(meta) => meta,
                _ => return Err(Malformed::new("khalaNode: meta: expected an object")),
            },
        };
        // More than one key: the size must be looked at. The common `{"weight":n}` is surely small.
        let small = node.meta.len() <= 1 && node.meta.get("weight").is_some_and(Value::is_number);
        if !small && Value::Object(node.meta.clone()).to_string().len() > MAX_META {
            let message = format!("khalaNode: meta: expected at most {MAX_META} bytes");
            return Err(Malformed::new(message));
        }
        Ok(node)
    }
}

impl From<&Offer> for ServiceNode {
    fn from(offer: &Offer) -> Self {
        let mut meta = Map::new();
        meta.insert("weight".to_owned(), json!(offer.instance.weight));
        Self {
            service: offer.id.service.clone(),
            zone: offer.id.zone.clone(),
            address: offer.instance.address.ip().to_string(),
            port: offer.instance.address.port(),
            meta,
        }
    }
}

/// The service nodes of one node: sorted, none twice. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ServiceList(#[serde(serialize_with = "as_slice")] Arc<[ServiceNode]>);

fn as_slice<S: serde::Serializer>(list: &Arc<[ServiceNode]>, serializer: S) -> Result<S::Ok, S::Error> {
    list.as_ref().serialize(serializer)
}

impl Default for ServiceList {
    fn default() -> Self {
        Self(Arc::from([]))
    }
}

impl ServiceList {
    /// The service nodes in order.
    pub fn iter(&self) -> std::slice::Iter<'_, ServiceNode> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The list with this one added, or put in the place of its namesake.
    #[must_use]
    pub fn with(&self, node: ServiceNode) -> Self {
        self.iter().cloned().chain([node]).collect()
    }

    /// The list without the namesake of this one.
    #[must_use]
    pub fn without(&self, node: &ServiceNode) -> Self {
        self.iter()
            .filter(|other| other.key() != node.key())
            .cloned()
            .collect()
    }

    /// Whether both name the same service nodes, whatever is said of them.
    pub fn same_keys(&self, other: &Self) -> bool {
        self.iter()
            .map(ServiceNode::key)
            .eq(other.iter().map(ServiceNode::key))
    }

    fn read(value: Value) -> Result<Self, Malformed> {
        let elements = array("khalaNodes", MAX_SERVICES, value)?;
        elements.into_iter().map(ServiceNode::read).collect()
    }
}

/// Of several of one identity the last one counts.
impl FromIterator<ServiceNode> for ServiceList {
    fn from_iter<I: IntoIterator<Item = ServiceNode>>(nodes: I) -> Self {
        let mut nodes: Vec<ServiceNode> = nodes.into_iter().collect();
        nodes.reverse();
        nodes.sort_by(|a, b| a.key().cmp(&b.key()));
        nodes.dedup_by(|a, b| a.key() == b.key());
        Self(nodes.into())
    }
}

/// A node and all that it offers: `khala.local`, and an element of `khala.sync`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeServices {
    /// The node.
    pub node: Node,
    /// Its service nodes.
    pub khala_nodes: ServiceList,
}

impl NodeServices {
    pub(super) fn read(value: Value) -> Result<Self, Malformed> {
        let mut fields = Fields::of("body", value)?;
        Ok(Self {
            node: Node::read("node", fields.take("node")?)?,
            khala_nodes: ServiceList::read(fields.take("khalaNodes")?)?,
        })
    }
}

/// A node and one service node that it adds or removes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeChange {
    /// The node.
    pub node: Node,
    /// The service node.
    pub khala_node: ServiceNode,
}

impl NodeChange {
    pub(super) fn read(value: Value) -> Result<Self, Malformed> {
        let mut fields = Fields::of("body", value)?;
        Ok(Self {
            node: Node::read("node", fields.take("node")?)?,
            khala_node: ServiceNode::read(fields.take("khalaNode")?)?,
        })
    }
}
