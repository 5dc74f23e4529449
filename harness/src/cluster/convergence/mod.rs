//! Compares the sidecars' views with the containers that should run. Pure.

mod foreign;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::cluster::mesh_view::{InstanceView, View};
use crate::cluster::topology::Role;
pub use foreign::{ForeignNode, foreign_nodes};

/// The prefix of a service's full name, before its short name.
pub(super) const SERVICE_PREFIX: &str = "my-service-";

/// The name of a service's server group on every sidecar that balances.
pub fn group_name(service: &str) -> String {
    format!("{service}.my.service.com:80")
}

/// A container that should be part of the mesh, and its sidecar's view.
#[derive(Debug, Clone)]
pub struct NodeView {
    /// Its name in messages.
    pub name: String,
    /// Its host name, which is its node's name.
    pub host: String,
    /// Its role.
    pub role: Role,
    /// The view, or why there is none.
    pub view: Result<View, String>,
}

/// The differences between the views and the expected nodes, `nodes` and `foreign`, one line each; sidecars that differ
/// in the same share a line. Empty if all views are complete and correct, and therefore agree with each other.
pub fn disagreements(nodes: &[NodeView], foreign: &[ForeignNode]) -> Vec<String> {
    let mut complaints: Vec<(&str, String)> = Vec::new();
    for node in nodes {
        match &node.view {
            Ok(view) => Comparison {
                node,
                view,
                nodes,
                foreign,
                complaints: &mut complaints,
            }
            .all(),
            Err(reason) => complaints.push((node.name.as_str(), format!("gives no answer: {reason}"))),
        }
    }
    let hashes: BTreeSet<&str> = nodes
        .iter()
        .filter_map(|node| Some(node.view.as_ref().ok()?.hash.as_str()))
        .collect();
    if complaints.is_empty() && hashes.len() > 1 {
        return vec![format!(
            "the sidecars know the same nodes but report {} different hashes of them",
            hashes.len()
        )];
    }
    grouped(&complaints, nodes.len())
}

/// One line for each different complaint, with the names of the nodes that have it, in the order of the first ones.
fn grouped(complaints: &[(&str, String)], nodes: usize) -> Vec<String> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, what) in complaints {
        match groups.iter_mut().find(|(known, _)| known == what) {
            Some((_, names)) => names.push(name),
            None => groups.push((what, vec![name])),
        }
    }
    let line = |(what, names): (&str, Vec<&str>)| match names.as_slice() {
        [one] => format!("{one} {what}"),
        all if all.len() == nodes => format!("every sidecar {what}"),
        some => format!("each of {} {what}", some.join(", ")),
    };
    groups.into_iter().map(line).collect()
}

/// Compares one view with the nodes that should be in it.
struct Comparison<'a, 'c> {
    node: &'a NodeView,
    view: &'a View,
    nodes: &'a [NodeView],
    foreign: &'a [ForeignNode],
    /// The names of nodes, and what is wrong in their views.
    complaints: &'c mut Vec<(&'a str, String)>,
}

impl Comparison<'_, '_> {
    fn all(&mut self) {
        self.compare_nodes();
        let services: BTreeSet<&str> = self
            .nodes
            .iter()
            .filter_map(|other| other.role.service())
            .collect();
        for service in services {
            self.compare_service(service);
        }
        self.unknown_services();
    }

    fn complain(&mut self, what: String) {
        self.complaints.push((&self.node.name, what));
    }

    fn is_foreign(&self, host: &str) -> bool {
        self.foreign.iter().any(|node| node.name == host)
    }

    fn is_up(&self, other: &NodeView) -> bool {
        let mut up = self.view.nodes.iter().filter(|node| node.health == "UP");
        up.any(|node| node.node_name == other.host)
    }

    fn compare_nodes(&mut self) {
        for other in self.nodes {
            let node = self.view.nodes.iter().find(|node| node.node_name == other.host);
            match node.map(|node| node.health.as_str()) {
                None => self.complain(format!("lacks {}", other.name)),
                Some("UP") => {}
                Some(health) => self.complain(format!("reports {} as {health}", other.name)),
            }
        }
        let view = self.view;
        for node in view.nodes.iter().filter(|node| node.health == "UP") {
            let member = self.nodes.iter().any(|other| other.host == node.node_name);
            if !member && !self.is_foreign(&node.node_name) {
                self.complain(format!(
                    "reports {} at {} as UP, which does not exist",
                    node.node_name, node.address
                ));
            }
        }
    }

    fn compare_service(&mut self, service: &str) {
        // Services of this name in different zones count as one.
        let full = format!("{SERVICE_PREFIX}{service}");
        let view = self.view;
        let instances: Vec<&InstanceView> = view
            .services
            .iter()
            .filter(|known| known.service == full)
            .flat_map(|known| &known.instances)
            .collect();
        for other in self.nodes {
            let Role::Service { name, weight } = &other.role else {
                continue;
            };
            if name != service {
                continue;
            }
            let instance = instances.iter().find(|known| known.node_name == other.host);
            match instance {
                // Follows from what is said of the node.
                None if !self.is_up(other) => {}
                None => self.complain(format!("sees no instance of service {service} on {}", other.name)),
                Some(known) if known.state != "UP" => self.complain(format!(
                    "reports service {service} on {} as {}",
                    other.name, known.state
                )),
                Some(known) if known.weight != *weight => {
                    let has = known.weight;
                    self.complain(format!(
                        "reports weight {has} instead of {weight} for {}",
                        other.name
                    ));
                }
                Some(_) => {}
            }
        }
        for known in &instances {
            if !self.offers(service, known) {
                self.complain(format!(
                    "sees an instance of service {service} on {}, which does not exist",
                    known.node_name
                ));
            }
        }
        if self.node.role.balances() {
            self.compare_group(service, &instances);
        }
    }

    fn offers(&self, service: &str, instance: &InstanceView) -> bool {
        let mut all = self.nodes.iter();
        self.is_foreign(&instance.node_name)
            || all.any(|other| other.host == instance.node_name && other.role.service() == Some(service))
    }

    fn compare_group(&mut self, service: &str, instances: &[&InstanceView]) {
        let name = group_name(service);
        let Some(group) = self.view.groups.iter().find(|group| group.name == name) else {
            return self.complain(format!("has no server group {name}"));
        };
        let usable: BTreeMap<SocketAddr, u32> = group
            .servers
            .iter()
            .filter(|server| server.state == "UP")
            .map(|server| (server.address, server.weight))
            .collect();
        let mut known = BTreeSet::new();
        for instance in instances {
            let address = SocketAddr::new(instance.address, instance.port);
            known.insert(address);
            let node = self.nodes.iter().find(|node| node.host == instance.node_name);
            let on = node.map_or(&instance.node_name, |node| &node.name);
            match usable.get(&address) {
                None if instance.state != "UP" => {}
                None => self.complain(format!("leaves {on} out of group {name}")),
                Some(weight) if *weight != instance.weight => {
                    self.complain(format!("uses {on} with weight {weight} in group {name}"));
                }
                Some(_) => {}
            }
        }
        for address in usable.keys().filter(|address| !known.contains(address)) {
            self.complain(format!("uses {address} in group {name}, which is no instance"));
        }
    }

    fn unknown_services(&mut self) {
        let view = self.view;
        for known in view.services.iter().filter(|known| !known.instances.is_empty()) {
            let offered = |other: &NodeView| {
                known
                    .service
                    .strip_prefix(SERVICE_PREFIX)
                    .is_some_and(|name| other.role.service() == Some(name))
            };
            let all_foreign = known
                .instances
                .iter()
                .all(|known| self.is_foreign(&known.node_name));
            if !all_foreign && !self.nodes.iter().any(offered) {
                self.complain(format!("sees service {}, which no node offers", known.service));
            }
        }
    }
}

#[cfg(test)]
mod tests;
