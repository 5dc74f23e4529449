//! A node: one sidecar of the mesh.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::Malformed;
use super::fields::{Fields, check_name};

/// A node's identity. Cheap to clone.
///
/// Ordered as the hashes need it: by address as text, UDP port, TCP port, name
/// (discovery protocol: datagrams).
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
    /// A node of this name that listens on these ports of its address.
    ///
    /// # Errors
    /// When the name is too long or holds control characters.
    pub fn new(name: &str, address: IpAddr, udp_port: u16, tcp_port: u16) -> Result<Self, Malformed> {
        check_name(name).map_err(|why| Malformed::new(format!("nodeName: {why}")))?;
        Ok(Self::unchecked(name.to_owned(), address, udp_port, tcp_port))
    }

    fn unchecked(name: String, address: IpAddr, udp_port: u16, tcp_port: u16) -> Self {
        Self(Arc::new(Parts {
            address_text: address.to_string(),
            udp_port,
            tcp_port,
            name,
            address,
        }))
    }

    /// The host name it goes by.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its address.
    pub fn address(&self) -> IpAddr {
        self.0.address
    }

    /// Where it listens for datagrams.
    pub fn udp_port(&self) -> u16 {
        self.0.udp_port
    }

    /// Where its exchange server listens.
    pub fn tcp_port(&self) -> u16 {
        self.0.tcp_port
    }

    /// Where its exchange server answers. Only one node can be there at a time.
    pub fn endpoint(&self) -> SocketAddr {
        SocketAddr::new(self.0.address, self.0.tcp_port)
    }

    /// Where datagrams reach it.
    pub fn datagram_address(&self) -> SocketAddr {
        SocketAddr::new(self.0.address, self.0.udp_port)
    }

    /// Appends `nodeName,address,udpPort,tcpPort,`: its part of the hashed texts.
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

    pub(super) fn read(what: &str, value: Value) -> Result<Self, Malformed> {
        Self::read_fields(&mut Fields::of(what, value)?)
    }

    fn read_fields(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        Ok(Self::unchecked(
            fields.name("nodeName")?,
            fields.address("address")?,
            fields.port("udpPort")?,
            fields.port("tcpPort")?,
        ))
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

/// A node and whether the teller holds it to be healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeState {
    /// The node.
    pub node: Node,
    /// Whether the teller's checks of it succeed.
    pub healthy: bool,
}

impl NodeState {
    pub(super) fn read(value: Value) -> Result<Self, Malformed> {
        let mut fields = Fields::of("node", value)?;
        Ok(Self {
            node: Node::read_fields(&mut fields)?,
            healthy: fields.flag("healthy")?,
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
