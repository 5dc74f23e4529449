//! Nodes that somebody started beside the topology, as far as all sidecars agree on them.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use super::{SERVICE_PREFIX, Seen};
use crate::cluster::mesh_view::View;

/// A healthy node that is not of the topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// Its node's name, which is its host's.
    pub name: String,
    /// Its address on the mesh's network.
    pub address: IpAddr,
    /// The short names of the services that it offers.
    pub offers: BTreeSet<String>,
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offers: Vec<&str> = self.offers.iter().map(String::as_str).collect();
        let offers = match offers.len() {
            0 => "no service".to_owned(),
            1 => format!("service {}", offers[0]),
            _ => format!("services {}", offers.join(", ")),
        };
        write!(f, "{} at {}, offers {offers}", self.name, self.address)
    }
}

/// The nodes that are not among `seen` and that every sidecar with a view calls UP at the same address, with the same
/// instances, all of them UP. Whether they are really there, the caller must know: all may still believe in one that
/// has just gone.
pub fn beside(seen: &[Seen]) -> Vec<Beside> {
    let views: Vec<&View> = seen.iter().filter_map(|who| who.view.as_ref().ok()).collect();
    let Some(first) = views.first() else {
        return Vec::new();
    };
    let healthy = |view: &View, name: &str, address: IpAddr| {
        let mut nodes = view.nodes.iter();
        nodes.any(|node| node.node_name == name && node.address == address && node.health == "UP")
    };
    let agreed = |name: &str, address: IpAddr| {
        let known = instances(first, name);
        known.iter().all(|(.., state)| *state == "UP")
            && views
                .iter()
                .all(|view| healthy(view, name, address) && instances(view, name) == known)
    };
    let strangers = first
        .nodes
        .iter()
        .filter(|node| !seen.iter().any(|who| who.host == node.node_name));
    strangers
        .filter(|node| agreed(&node.node_name, node.address))
        .map(|node| Beside {
            name: node.node_name.clone(),
            address: node.address,
            offers: instances(first, &node.node_name)
                .into_iter()
                .map(|(service, ..)| service.strip_prefix(SERVICE_PREFIX).unwrap_or(service).to_owned())
                .collect(),
        })
        .collect()
}

/// What a view tells of a node's instances: service, address, port, weight and state.
fn instances<'a>(view: &'a View, node: &str) -> BTreeSet<(&'a str, IpAddr, u16, u32, &'a str)> {
    let mut found = BTreeSet::new();
    for known in &view.services {
        let of_node = known
            .instances
            .iter()
            .filter(|instance| instance.node_name == node);
        found.extend(of_node.map(|at| {
            (
                known.service.as_str(),
                at.address,
                at.port,
                at.weight,
                at.state.as_str(),
            )
        }));
    }
    found
}
