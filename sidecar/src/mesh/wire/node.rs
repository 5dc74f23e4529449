//! A node: one sidecar of the mesh.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::de::MapAccess;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::Malformed;
use super::fields::{ADDRESS, FLAG, Missing, Object, PORT, TEXT, Value};
use super::name::check_name;

/// A node's identity. Cheap to clone.
///
/// Ordered as the hashes need it: by address as text, UDP port, TCP port, name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(Arc<Parts>);

// The derived order is the protocol's: the fields stand in the order of comparison.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Parts {
    address_text: String,
    udp_port: u16,
    tcp_port: u16,
    name: String,
    address: IpAddr,
}

impl Node {
    /// A node with this name, address and ports.
    ///
    /// # Errors
    /// If the name is too long, or contains commas, control or invisible characters.
    pub fn new(name: &str, address: IpAddr, udp_port: u16, tcp_port: u16) -> Result<Self, Malformed> {
        check_name(name).map_err(|why| Malformed::new(format!("nodeName: {why}")))?;
        Ok(Self::unchecked(name.to_owned(), address, udp_port, tcp_port))
    }

    fn unchecked(name: String, address: IpAddr, udp_port: u16, tcp_port: u16) -> Self {
        // As the original: an IPv4 address that is written as IPv6 is the same address.
        let address = address.to_canonical();
        Self(Arc::new(Parts {
            address_text: address.to_string(),
            udp_port,
            tcp_port,
            name,
            address,
        }))
    }

    /// Its name, by default the host's.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its address, in canonical form.
    pub fn address(&self) -> IpAddr {
        self.0.address
    }

    /// Its port for datagrams.
    pub fn udp_port(&self) -> u16 {
        self.0.udp_port
    }

    /// Its port for exchanges.
    pub fn tcp_port(&self) -> u16 {
        self.0.tcp_port
    }

    /// The address of its exchange server, which identifies one node at a time.
    pub fn endpoint(&self) -> SocketAddr {
        SocketAddr::new(self.0.address, self.0.tcp_port)
    }

    /// The address that datagrams are sent to.
    pub fn datagram_address(&self) -> SocketAddr {
        SocketAddr::new(self.0.address, self.0.udp_port)
    }

    /// Appends `nodeName,address,udpPort,tcpPort,`, its part of the hashed texts.
    pub(super) fn write_text(&self, text: &mut String) {
        use fmt::Write;
        let Parts {
            address_text,
            udp_port,
            tcp_port,
            name,
            ..
        } = &*self.0;
        // Writing to a String cannot fail.
        let _ = write!(text, "{name},{address_text},{udp_port},{tcp_port},");
    }

    /// Its part of the hashed texts.
    pub(in crate::mesh) fn text(&self) -> String {
        let mut text = String::new();
        self.write_text(&mut text);
        text
    }

    fn serialize_into<S: SerializeStruct>(&self, out: &mut S) -> Result<(), S::Error> {
        out.serialize_field("nodeName", &self.0.name)?;
        out.serialize_field("address", &self.0.address_text)?;
        out.serialize_field("udpPort", &self.0.udp_port)?;
        out.serialize_field("tcpPort", &self.0.tcp_port)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} (udp {})", self.0.name, self.endpoint(), self.0.udp_port)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.0.name, self.endpoint())
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Node", 4)?;
        self.serialize_into(&mut out)?;
        out.end()
    }
}

/// A node, and whether it is healthy for the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeState {
    /// The node.
    pub node: Node,
    /// Whether it is up for the sender.
    pub healthy: bool,
}

#[derive(Default)]
pub(super) struct NodeParts {
    name: Option<String>,
    address: Option<IpAddr>,
    udp_port: Option<u16>,
    tcp_port: Option<u16>,
}

impl Object for Node {
    const KEYS: &'static [&'static str] = &["nodeName", "address", "udpPort", "tcpPort"];
    type Parts = NodeParts;

    fn take<'de, A: MapAccess<'de>>(parts: &mut NodeParts, value: Value<'_, A>) -> Result<(), A::Error> {
        match value.key() {
            "nodeName" => parts.name = value.name()?,
            "address" => parts.address = value.address()?,
            "udpPort" => parts.udp_port = value.port()?,
            _ => parts.tcp_port = value.port()?,
        }
        Ok(())
    }

    fn build(parts: NodeParts) -> Result<Self, Missing> {
        Ok(Self::unchecked(
            parts.name.ok_or(Missing("nodeName", TEXT))?,
            parts.address.ok_or(Missing("address", ADDRESS))?,
            parts.udp_port.ok_or(Missing("udpPort", PORT))?,
            parts.tcp_port.ok_or(Missing("tcpPort", PORT))?,
        ))
    }
}

impl Object for NodeState {
    const KEYS: &'static [&'static str] = &["nodeName", "address", "udpPort", "tcpPort", "healthy"];
    type Parts = (NodeParts, Option<bool>);

    fn take<'de, A: MapAccess<'de>>(
        (node, healthy): &mut Self::Parts,
        value: Value<'_, A>,
    ) -> Result<(), A::Error> {
        match value.key() {
            "healthy" => *healthy = Some(value.flag()?),
            _ => Node::take(node, value)?,
        }
        Ok(())
    }

    fn build((node, healthy): Self::Parts) -> Result<Self, Missing> {
        Ok(Self {
            node: Node::build(node)?,
            healthy: healthy.ok_or(Missing("healthy", FLAG))?,
        })
    }
}

impl Serialize for NodeState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("NodeState", 5)?;
        self.node.serialize_into(&mut out)?;
        out.serialize_field("healthy", &self.healthy)?;
        out.end()
    }
}
