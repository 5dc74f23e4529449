//! Foreign nodes: healthy nodes outside the topology that all sidecars agree on, such as a container that a user has
//! added to the network.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use super::{NodeView, SERVICE_PREFIX};
use crate::cluster::mesh_view::View;

/// A healthy node outside the topology.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForeignNode {
    /// Its name, the same as its host name.
    pub name: String,
    /// Its address on the mesh's network.
    pub address: IpAddr,
    /// The short names of the services that it offers.
    pub offers: BTreeSet<String>,
}

impl fmt::Display for ForeignNode {
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

/// The nodes outside `nodes` that every view reports as UP at the same address and with the same instances, all of them
/// UP. The caller must check that they exist: the views keep a removed node until its failure is detected.
pub fn foreign_nodes(nodes: &[NodeView]) -> Vec<ForeignNode> {
    let views: Vec<&View> = nodes.iter().filter_map(|node| node.view.as_ref().ok()).collect();
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
    let own = |name: &str| nodes.iter().any(|node| node.host == name);
    let others = first.nodes.iter().filter(|node| !own(&node.node_name));
    others
        .filter(|node| agreed(&node.node_name, node.address))
        .map(|node| ForeignNode {
            name: node.node_name.clone(),
            address: node.address,
            offers: instances(first, &node.node_name)
                .into_iter()
                .map(|(service, ..)| service.strip_prefix(SERVICE_PREFIX).unwrap_or(service).to_owned())
                .collect(),
        })
        .collect()
}

/// A node's instances in a view: service, address, port, weight and state.
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
