//! Datagrams: one RESP bulk string around a JSON object, as the original sends them.

use std::sync::Arc;

use serde::Serialize;
use serde::de::{Error, MapAccess};

use super::fields::{Missing, NUMBER, Object, PORT, TEXT, Value, read_object};
use super::name::check_short;
use super::shape::Wrong;
use super::{Dropped, Malformed};

/// Limit of a datagram that is read, in bytes.
pub const MAX_DATAGRAM: usize = 2048;

const VERSION: i64 = 1;
const TYPE: &str = "search, inform or leave";

/// The type of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DatagramKind {
    /// Asks any node that receives it to announce itself.
    Search,
    /// Announces a node that knows others than the receiver.
    Inform,
    /// Announces that the sender leaves.
    Leave,
}

impl DatagramKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Search, Self::Inform, Self::Leave];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Inform => "inform",
            Self::Leave => "leave",
        }
    }
}

/// One datagram. It lacks the sender's address, which is the packet's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Its type.
    pub kind: DatagramKind,
    /// The sender's name.
    pub node_name: Arc<str>,
    /// The UDP port to answer to.
    pub udp_port: u16,
    /// The TCP port of the sender's exchange server.
    pub tcp_port: u16,
    /// The hash of the healthy nodes that the sender knows; empty in `leave`.
    pub hash: Arc<str>,
    /// Shows that the sender receives what is sent to its address. Only beside gossip: the original knows no such key.
    pub cookie: Option<Cookie>,
}

/// The cookies of a pair of nodes. On the wire both together are 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookie {
    /// The sender's, for the receiver to return.
    pub own: u32,
    /// The receiver's, returned; 0 if the sender has none.
    pub returned: u32,
}

impl Cookie {
    fn text(self) -> String {
        format!("{:08x}{:08x}", self.own, self.returned)
    }

    fn parse(text: &str) -> Option<Self> {
        let (own, returned) = text.split_at_checked(8)?;
        Some(Self {
            own: u32::from_str_radix(own, 16).ok()?,
            returned: u32::from_str_radix(returned, 16).ok()?,
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    version: i64,
    r#type: DatagramKind,
    node_name: &'a str,
    udp_port: u16,
    tcp_port: u16,
    hash: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cookie: Option<String>,
}

impl Datagram {
    /// Encodes the payload of one UDP packet.
    pub fn encode(&self) -> Vec<u8> {
        let content = Content {
            version: VERSION,
            r#type: self.kind,
            node_name: &self.node_name,
            udp_port: self.udp_port,
            tcp_port: self.tcp_port,
            hash: &self.hash,
            cookie: self.cookie.map(Cookie::text),
        };
        // A struct of strings and numbers always serializes.
        let content = serde_json::to_string(&content).unwrap_or_default();
        format!("${}\r\n{content}\r\n", content.len()).into_bytes()
    }

    /// Decodes the payload of one UDP packet.
    ///
    /// # Errors
    /// If it is not exactly one bulk string of at most [`MAX_DATAGRAM`] bytes, or if its content lacks a key, has a
    /// value of a wrong type, or is of another version or an unknown type.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        read_object("datagram", bulk_string(payload)?, &mut Dropped::default())
    }
}

#[derive(Default)]
pub(super) struct Parts {
    version: Option<()>,
    kind: Option<DatagramKind>,
    node_name: Option<String>,
    udp_port: Option<u16>,
    tcp_port: Option<u16>,
    hash: Option<String>,
    cookie: Option<Cookie>,
}

impl Object for Datagram {
    const KEYS: &'static [&'static str] = &[
        "version", "type", "nodeName", "udpPort", "tcpPort", "hash", "cookie",
    ];
    type Parts = Parts;

    fn take<'de, A: MapAccess<'de>>(parts: &mut Parts, value: Value<'_, A>) -> Result<(), A::Error> {
        match value.key() {
            "version" => match value.number()? {
                VERSION => parts.version = Some(()),
                other => {
                    return Err(A::Error::custom(format_args!(
                        "datagram: expected version {VERSION}, found {other}"
                    )));
                }
            },
            "type" => {
                parts.kind = Some(value.string(TYPE, |name| {
                    let kind = DatagramKind::ALL.into_iter().find(|kind| kind.name() == name);
                    kind.ok_or(Wrong("another string"))
                })?);
            }
            "nodeName" => parts.node_name = value.name()?,
            "udpPort" => parts.udp_port = value.port()?,
            "tcpPort" => parts.tcp_port = value.port()?,
            "cookie" => {
                let cookie = |text: &str| Cookie::parse(text).ok_or(Wrong("another string"));
                parts.cookie = Some(value.string("16 hexadecimal digits", cookie)?);
            }
            _ => parts.hash = value.checked(check_short)?,
        }
        Ok(())
    }

    fn build(parts: Parts) -> Result<Self, Missing> {
        parts.version.ok_or(Missing("version", NUMBER))?;
        Ok(Self {
            kind: parts.kind.ok_or(Missing("type", TYPE))?,
            node_name: parts.node_name.ok_or(Missing("nodeName", TEXT))?.into(),
            udp_port: parts.udp_port.ok_or(Missing("udpPort", PORT))?,
            tcp_port: parts.tcp_port.ok_or(Missing("tcpPort", PORT))?,
            hash: parts.hash.ok_or(Missing("hash", TEXT))?.into(),
            cookie: parts.cookie,
        })
    }
}

/// The content of a payload that is one RESP bulk string and nothing else.
fn bulk_string(payload: &[u8]) -> Result<&[u8], Malformed> {
    if payload.len() > MAX_DATAGRAM {
        return Err(Malformed::new(format!(
            "datagram: longer than {MAX_DATAGRAM} bytes"
        )));
    }
    let wrong = || Malformed::new("datagram: expected one RESP bulk string and nothing after it");
    let rest = payload.strip_prefix(b"$").ok_or_else(wrong)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let length: usize = std::str::from_utf8(&rest[..digits])
        .ok()
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(wrong)?;
    let rest = rest[digits..].strip_prefix(b"\r\n").ok_or_else(wrong)?;
    let content = rest.strip_suffix(b"\r\n").ok_or_else(wrong)?;
    if content.len() == length {
        Ok(content)
    } else {
        Err(wrong())
    }
}
