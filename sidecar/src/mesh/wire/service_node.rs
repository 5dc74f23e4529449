//! A service node: one instance of a service, offered by a node.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;
use serde::de::MapAccess;

use super::fields::{ADDRESS, ARRAY, Missing, OBJECT, Object, PORT, TEXT, Value, parse_address};
use super::name::shown;
use super::{MAX_SERVICES, Meta, Node};
use crate::balance::service::{Offer, ServiceId};

/// One instance of a service, as encoded on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceNode {
    /// The service's name.
    pub service: String,
    /// The zone. Services of the same name in different zones are different services.
    pub zone: String,
    /// Its address as the sender writes it, because the hash is taken over that text.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// Other properties, among them the weight; forwarded unchanged.
    pub meta: Meta,
}

impl ServiceNode {
    /// Its identity; lists are sorted by it.
    pub fn key(&self) -> (&str, &str, &str, u16) {
        (&self.service, &self.zone, &self.address, self.port)
    }

    /// Its share of connections: `meta.weight`, 10 if that is missing, 0 if it is negative, at most
    /// [`crate::balance::service::MAX_WEIGHT`].
    pub fn weight(&self) -> u32 {
        self.meta.weight()
    }

    /// The service that it is an instance of.
    pub fn id(&self) -> ServiceId {
        ServiceId {
            service: self.service.clone(),
            zone: self.zone.clone(),
        }
    }

    /// Its address and port: IPv4 as such, however it is written. None if the address is not an IP address.
    pub fn socket_address(&self) -> Option<SocketAddr> {
        let ip = parse_address(&self.address)?.to_canonical();
        Some(SocketAddr::new(ip, self.port))
    }

    /// Appends `service,zone,address,port,`, its part of the hashed text.
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
}

#[derive(Default)]
pub(super) struct ServiceParts {
    service: Option<String>,
    zone: Option<String>,
    address: Option<String>,
    port: Option<u16>,
    meta: Option<Meta>,
}

impl Object for ServiceNode {
    const KEYS: &'static [&'static str] = &["service", "zone", "address", "port", "meta"];
    type Parts = ServiceParts;

    fn take<'de, A: MapAccess<'de>>(parts: &mut ServiceParts, value: Value<'_, A>) -> Result<(), A::Error> {
        match value.key() {
            "service" => parts.service = value.name()?,
            "zone" => parts.zone = value.name()?,
            "address" => parts.address = value.checked(check_address)?,
            "port" => parts.port = value.port()?,
            _ => parts.meta = value.raw(Meta::read)?,
        }
        Ok(())
    }

    fn build(parts: ServiceParts) -> Result<Self, Missing> {
        Ok(Self {
            service: parts.service.ok_or(Missing("service", TEXT))?,
            zone: parts.zone.ok_or(Missing("zone", TEXT))?,
            address: parts.address.ok_or(Missing("address", TEXT))?,
            port: parts.port.ok_or(Missing("port", PORT))?,
            meta: parts.meta.ok_or(Missing("meta", OBJECT))?,
        })
    }

    fn label(parts: &ServiceParts) -> Option<&str> {
        parts.service.as_deref()
    }
}

/// The address stays text, because the hash is taken over it.
fn check_address(text: &str) -> Result<(), String> {
    match parse_address(text) {
        Some(_) => Ok(()),
        None => Err(format!("expected {ADDRESS}, found {}", shown(text))),
    }
}

impl From<&Offer> for ServiceNode {
    fn from(offer: &Offer) -> Self {
        Self {
            service: offer.id.service.clone(),
            zone: offer.id.zone.clone(),
            address: offer.instance.address.ip().to_string(),
            port: offer.instance.address.port(),
            meta: Meta::of_weight(offer.instance.weight),
        }
    }
}

/// The service nodes of one node: sorted, without duplicates. Cheap to clone.
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
    /// The service nodes, sorted.
    pub fn iter(&self) -> std::slice::Iter<'_, ServiceNode> {
        self.0.iter()
    }

    /// Number of service nodes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The list with this service node added, or in place of the one with the same identity.
    #[must_use]
    pub fn with(&self, node: ServiceNode) -> Self {
        self.iter().cloned().chain([node]).collect()
    }

    /// The list without the service node of the same identity.
    #[must_use]
    pub fn without(&self, node: &ServiceNode) -> Self {
        self.iter()
            .filter(|other| other.key() != node.key())
            .cloned()
            .collect()
    }

    /// The first service nodes of the list, at most this many.
    #[must_use]
    pub fn first(&self, most: usize) -> Self {
        Self(self.0.iter().take(most).cloned().collect())
    }

    /// Whether both hold the same identities, whatever their `meta`.
    pub fn same_keys(&self, other: &Self) -> bool {
        self.iter()
            .map(ServiceNode::key)
            .eq(other.iter().map(ServiceNode::key))
    }
}

/// Of several service nodes with one identity the last counts.
impl FromIterator<ServiceNode> for ServiceList {
    fn from_iter<I: IntoIterator<Item = ServiceNode>>(nodes: I) -> Self {
        let mut nodes: Vec<ServiceNode> = nodes.into_iter().collect();
        nodes.reverse();
        nodes.sort_by(|a, b| a.key().cmp(&b.key()));
        nodes.dedup_by(|a, b| a.key() == b.key());
        Self(nodes.into())
    }
}

/// A node and its whole list: the body of `khala.local`, and an element of `khala.sync`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeServices {
    /// The node.
    pub node: Node,
    /// Its service nodes.
    pub khala_nodes: ServiceList,
}

impl NodeServices {
    /// Its size as JSON, in bytes.
    pub(in crate::mesh) fn size(&self) -> usize {
        struct Count(usize);
        impl io::Write for Count {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 += bytes.len();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut count = Count(0);
        // Neither counting nor serializing strings and numbers can fail.
        let _ = serde_json::to_writer(&mut count, self);
        count.0
    }
}

impl Object for NodeServices {
    const KEYS: &'static [&'static str] = &["node", "khalaNodes"];
    type Parts = (Option<Node>, Option<ServiceList>);

    fn take<'de, A: MapAccess<'de>>(
        (node, services): &mut Self::Parts,
        value: Value<'_, A>,
    ) -> Result<(), A::Error> {
        match value.key() {
            "node" => *node = value.object()?,
            _ => {
                let list: Vec<ServiceNode> = value.list("khalaNode", MAX_SERVICES)?;
                *services = Some(list.into_iter().collect());
            }
        }
        Ok(())
    }

    fn build((node, services): Self::Parts) -> Result<Self, Missing> {
        Ok(Self {
            node: node.ok_or(Missing("node", OBJECT))?,
            khala_nodes: services.ok_or(Missing("khalaNodes", ARRAY))?,
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

impl Object for NodeChange {
    const KEYS: &'static [&'static str] = &["node", "khalaNode"];
    type Parts = (Option<Node>, Option<ServiceNode>);

    fn take<'de, A: MapAccess<'de>>(
        (node, service): &mut Self::Parts,
        value: Value<'_, A>,
    ) -> Result<(), A::Error> {
        match value.key() {
            "node" => *node = value.object()?,
            _ => *service = value.object()?,
        }
        Ok(())
    }

    fn build((node, service): Self::Parts) -> Result<Self, Missing> {
        Ok(Self {
            node: node.ok_or(Missing("node", OBJECT))?,
            khala_node: service.ok_or(Missing("khalaNode", OBJECT))?,
        })
    }
}
