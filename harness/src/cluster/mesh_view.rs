//! A sidecar's view of the mesh, as its status listener reports it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use crate::http::{self, HttpError, Response, Session};

const PAGE: &str = "/mesh";

/// One sidecar's view: the response to `GET /mesh`. Keys that are not used here are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct View {
    /// The sidecar itself.
    pub node: Node,
    /// Digest of the healthy nodes that it knows. Sidecars with the same set of healthy nodes have the same digest.
    pub hash: String,
    /// Every node that it knows, including itself.
    pub nodes: Vec<Node>,
    /// Every service that it knows.
    pub services: Vec<ServiceView>,
    /// Its server groups.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// The local instances that are registered with it.
    #[serde(default)]
    pub registrations: Vec<Registered>,
}

/// A node of the mesh: one sidecar.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Its host's name: in a container, the first 12 digits of the container's id.
    pub node_name: String,
    /// Its address on the mesh's network.
    pub address: IpAddr,
    /// `UP` or `DOWN`; empty for the sidecar's own node.
    #[serde(default)]
    pub health: String,
}

/// A service and its instances.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ServiceView {
    /// The service's full name, for instance `my-service-a`.
    pub service: String,
    /// Its instances on nodes that are up; those that are the last choice are listed apart.
    pub instances: Vec<InstanceView>,
}

/// One instance of a service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceView {
    /// Its node.
    pub node_name: String,
    /// The address that it listens on.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// Its weight in balancing.
    pub weight: u32,
    /// `UP` or `DOWN`.
    pub state: String,
}

/// A server group of a sidecar that balances.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Group {
    /// Its name, for instance `a.my.service.com:80`.
    pub name: String,
    /// Its servers.
    pub servers: Vec<Server>,
}

/// A server in a group.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Server {
    /// The address that it listens on.
    pub address: SocketAddr,
    /// Its weight in balancing.
    pub weight: u32,
    /// `UP` or `DOWN`, as determined by the group's own health check.
    pub state: String,
}

/// A local instance that is registered with a sidecar.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Registered {
    /// The registration's name, for instance `my-service-a_example`.
    pub name: String,
    /// The instance's address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// `UP` while it is announced to the mesh.
    pub state: String,
}

impl View {
    /// The address of a local instance that is announced to the mesh.
    pub fn announced(&self) -> Option<SocketAddr> {
        let up = self.registrations.iter().find(|known| known.state == "UP")?;
        Some(SocketAddr::new(up.address, up.port))
    }

    /// Whether the server group `group` has a server at `address` that is up.
    pub fn up(&self, group: &str, address: SocketAddr) -> bool {
        let groups = self.groups.iter().filter(|known| known.name == group);
        let mut servers = groups.flat_map(|group| &group.servers);
        servers.any(|server| server.address == address && server.state == "UP")
    }
}

/// Fetches the view from the status listener at `address`.
///
/// # Errors
/// The reason that there is none, as the end of a sentence.
pub async fn fetch(address: SocketAddr, limit: Duration) -> Result<View, String> {
    read(http::get(address, PAGE, limit).await)
}

/// As [`fetch`], on a persistent connection.
///
/// # Errors
/// As [`fetch`].
pub async fn fetch_again(session: &Session, limit: Duration) -> Result<View, String> {
    read(session.get(PAGE, limit).await)
}

fn read(answered: Result<Response, HttpError>) -> Result<View, String> {
    let response = answered.map_err(|error| error.cause())?;
    if response.status != 200 {
        return Err(format!("{PAGE} answered with status {}", response.status));
    }
    serde_json::from_slice(&response.body).map_err(|error| format!("{PAGE} is malformed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(registered: &str, server: &str) -> View {
        let text = format!(
            r#"{{"node":{{"nodeName":"n1","address":"10.0.0.1"}},"hash":"h","nodes":[],"services":[],
            "groups":[{{"name":"a:80","servers":[{{"address":"10.0.0.2:80","weight":10,"state":"{server}"}}]}}],
            "registrations":[{{"name":"r","address":"10.0.0.1","port":81,"state":"{registered}"}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn an_instance_or_server_that_is_down_does_not_count() {
        let address = "10.0.0.2:80".parse().unwrap();
        let up = view("UP", "UP");
        assert_eq!(up.announced(), Some("10.0.0.1:81".parse().unwrap()));
        assert!(up.up("a:80", address));
        assert!(!up.up("b:80", address));
        assert!(!up.up("a:80", "10.0.0.3:80".parse().unwrap()));
        let down = view("DOWN", "DOWN");
        assert_eq!(down.announced(), None);
        assert!(!down.up("a:80", address));
    }
}
