//! A node's view of the mesh, as shown by the status listener's `/mesh`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::Serialize;

use super::directory::Directory;
use super::directory::acceptance::Acceptance;
use super::protocol::Protocol;
use super::wire::{Node, ServiceNode};
use crate::balance::service::LastChoice;

/// A node's view of the mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    /// The node whose view it is.
    pub node: NodeView,
    /// Its hash of the nodes that are up; equal hashes mean equal sets of nodes.
    pub hash: String,
    /// Every known node, itself included, by address, ports and name.
    pub nodes: Vec<NodeHealth>,
    /// Every service that a known node offers, by service and zone, with the instances that count.
    pub services: Vec<ServiceView>,
}

/// A node's identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeView {
    /// Its name.
    pub node_name: String,
    /// Its address.
    pub address: IpAddr,
    /// Its port for datagrams.
    pub udp_port: u16,
    /// Its port for exchanges.
    pub tcp_port: u16,
}

/// A known node and its health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeHealth {
    /// The node.
    #[serde(flatten)]
    pub node: NodeView,
    /// Whether it is up.
    pub health: Health,
    /// Whether it is the node whose view this is.
    #[serde(rename = "self")]
    pub is_self: bool,
}

/// Whether a node is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Health {
    /// It is up.
    Up,
    /// It is down, or has not answered yet.
    Down,
}

/// A service and its instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceView {
    /// Its name.
    pub service: String,
    /// Its zone.
    pub zone: String,
    /// Its instances on nodes that are up, by address, port and node.
    pub instances: Vec<InstanceView>,
    /// Its instances that are the last choice, in the same order; see [`crate::balance`].
    pub last_choice: Vec<LastChoiceView>,
}

/// An instance of a service that is its last choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastChoiceView {
    /// The instance.
    #[serde(flatten)]
    pub instance: InstanceView,
    /// Why it is the last choice.
    pub reason: LastChoice,
}

/// One instance of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceView {
    /// The node that offers it.
    pub node_name: String,
    /// Its address.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// Its weight.
    pub weight: u32,
}

impl From<&Node> for NodeView {
    fn from(node: &Node) -> Self {
        Self {
            node_name: node.name().to_owned(),
            address: node.address(),
            udp_port: node.udp_port(),
            tcp_port: node.tcp_port(),
        }
    }
}

impl View {
    /// The view of this node.
    pub fn of(protocol: &Protocol) -> Self {
        let membership = protocol.membership();
        let own = NodeHealth {
            node: membership.own().into(),
            health: Health::Up,
            is_self: true,
        };
        let others = membership.peers().map(|peer| NodeHealth {
            node: (&peer.node).into(),
            health: if peer.is_up() { Health::Up } else { Health::Down },
            is_self: false,
        });
        let mut nodes: Vec<NodeHealth> = std::iter::once(own).chain(others).collect();
        nodes.sort_by(|a, b| {
            let key = |n: &NodeHealth| (n.node.address, n.node.udp_port, n.node.tcp_port);
            key(a)
                .cmp(&key(b))
                .then_with(|| a.node.node_name.cmp(&b.node.node_name))
        });
        Self {
            node: membership.own().into(),
            hash: membership.hash().as_ref().to_owned(),
            nodes,
            services: services(protocol.directory(), &protocol.acceptance()),
        }
    }
}

fn services(directory: &Directory, acceptance: &Acceptance<'_>) -> Vec<ServiceView> {
    type Key<'a> = (&'a str, &'a str);
    let mut instances: BTreeMap<Key<'_>, Vec<(&Node, &ServiceNode)>> = BTreeMap::new();
    let mut last_choices: BTreeMap<Key<'_>, Vec<(&Node, &ServiceNode, LastChoice)>> = BTreeMap::new();
    let counts = |node: &Node, service: &ServiceNode| {
        let address = service.socket_address();
        address.is_some_and(|address| acceptance.place(node, address.ip()).is_ok())
    };
    for (node, service) in directory.iter().filter(|(node, service)| counts(node, service)) {
        let key = (&*service.service, &*service.zone);
        instances.entry(key).or_default().push((node, service));
    }
    let lost = directory.last_choice();
    for lost @ (_, service, _) in lost.filter(|(node, service, _)| counts(node, service)) {
        let key = (&*service.service, &*service.zone);
        last_choices.entry(key).or_default().push(lost);
    }
    let keys: BTreeSet<Key<'_>> = instances.keys().chain(last_choices.keys()).copied().collect();
    let view = keys.into_iter().map(|key @ (service, zone)| {
        let mut instances = instances.remove(&key).unwrap_or_default();
        instances.sort_by_key(|(node, service)| (service.key(), *node));
        let mut last_choices = last_choices.remove(&key).unwrap_or_default();
        last_choices.sort_by_key(|(node, service, _)| (service.key(), *node));
        let last_choices = last_choices
            .into_iter()
            .map(|(node, service, reason)| LastChoiceView {
                instance: (node, service).into(),
                reason,
            });
        ServiceView {
            service: service.to_owned(),
            zone: zone.to_owned(),
            instances: instances.into_iter().map(InstanceView::from).collect(),
            last_choice: last_choices.collect(),
        }
    });
    view.collect()
}

impl From<(&Node, &ServiceNode)> for InstanceView {
    fn from((node, service): (&Node, &ServiceNode)) -> Self {
        Self {
            node_name: node.name().to_owned(),
            address: service.address.clone(),
            port: service.port,
            weight: service.weight(),
        }
    }
}
