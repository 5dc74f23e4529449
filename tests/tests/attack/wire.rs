//! Discovery's wire, as far as an attacker speaks it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::http::{self, Answer};

/// The port of datagrams and of exchanges.
pub(crate) const PORT: u16 = 31000;
pub(crate) const PATH: &str = "/discovery/api/v1/exchange/";

/// A node.
pub(crate) fn node(name: &str, address: Ipv4Addr, port: u16) -> Value {
    json!({"nodeName": name, "address": address.to_string(), "udpPort": port, "tcpPort": port})
}

/// A node in a list of nodes.
pub(crate) fn healthy(name: &str, address: &str, port: u16) -> Value {
    json!({"nodeName": name, "address": address, "udpPort": port, "tcpPort": port, "healthy": true})
}

/// An instance of a service of the example mesh.
pub(crate) fn instance(service: &str, address: &str, port: u16, weight: u64) -> Value {
    json!({"service": format!("my-service-{service}"), "zone": "example", "address": address, "port": port,
           "meta": {"weight": weight}})
}

/// The payload of a datagram.
pub(crate) fn datagram(kind: &str, name: &str, port: u16, hash: &str) -> Vec<u8> {
    let content = format!(
        r#"{{"version":1,"type":"{kind}","nodeName":"{name}","udpPort":{port},"tcpPort":{port},"hash":"{hash}"}}"#
    );
    format!("${}\r\n{content}\r\n", content.len()).into_bytes()
}

/// The digests of the nodes and of their services that a datagram of a node that gossips carries, as they stand there.
pub(crate) fn digests(datagram: &str) -> Option<String> {
    let gossip = datagram.split_once("\"#1,")?.1.split('"').next()?;
    let mut parts = gossip.split(',');
    Some(format!("#1,{},{}", parts.next()?, parts.next()?))
}

/// Sends an exchange over a connection to a node.
pub(crate) async fn exchange(stream: TcpStream, kind: &str, body: &Value) -> io::Result<Answer> {
    let request = http::request("PUT", &format!("{PATH}{kind}"), &body.to_string());
    http::ask(stream, &request).await
}

/// Where a node receives datagrams and exchanges.
pub(crate) fn endpoint(address: Ipv4Addr) -> SocketAddr {
    SocketAddrV4::new(address, PORT).into()
}
