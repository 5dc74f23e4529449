//! Whether the sidecars see the mesh that is there: pure, views in and complaints out.

mod beside;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::cluster::mesh_view::{InstanceView, View};
use crate::cluster::topology::Role;
pub use beside::{Beside, beside};

/// What a service is registered as: this, then its short name.
const SERVICE_PREFIX: &str = "my-service-";

/// The server group that a service's instances are in, on every sidecar that balances.
pub fn group_name(service: &str) -> String {
    format!("{service}.my.service.com:80")
}

/// A container that should be part of the mesh, and what its sidecar says.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its name in messages.
    pub name: String,
    /// Its host name, which is its node's name.
    pub host: String,
    /// What it is for.
    pub role: Role,
    /// Its view, or why there is none.
    pub view: Result<View, String>,
}

/// All that the sidecars' views lack or have too much, a line each; empty where all see the mesh that `seen`
/// lists, and so agree with each other.
pub fn disagreements(seen: &[Seen]) -> Vec<String> {
    disagreements_but(seen, &[])
}

/// The same, where the nodes `beside` those of `seen` are there too.
pub fn disagreements_but(seen: &[Seen], beside: &[Beside]) -> Vec<String> {
    let mut complaints = Vec::new();
    for who in seen {
        match &who.view {
            Ok(view) => Judge {
                who,
                view,
                seen,
                beside,
                complaints: &mut complaints,
            }
            .all(),
            Err(reason) => complaints.push(format!("{} says nothing: {reason}", who.name)),
        }
    }
    let hashes: BTreeSet<&str> = seen
        .iter()
        .filter_map(|who| Some(who.view.as_ref().ok()?.hash.as_str()))
        .collect();
    if complaints.is_empty() && hashes.len() > 1 {
        complaints.push(format!(
            "the sidecars know the same nodes but {} different hashes of them",
            hashes.len()
        ));
    }
    complaints
}

/// One view held against what is there.
struct Judge<'a> {
    who: &'a Seen,
    view: &'a View,
    seen: &'a [Seen],
    beside: &'a [Beside],
    complaints: &'a mut Vec<String>,
}

impl Judge<'_> {
    fn all(&mut self) {
        self.nodes();
        let services: BTreeSet<&str> = self
            .seen
            .iter()
            .filter_map(|other| other.role.service())
            .collect();
        for service in services {
            self.service(service);
        }
        self.unknown_services();
    }

    fn complain(&mut self, what: String) {
        self.complaints.push(format!("{} {what}", self.who.name));
    }

    fn is_beside(&self, host: &str) -> bool {
        self.beside.iter().any(|node| node.name == host)
    }

    fn nodes(&mut self) {
        for other in self.seen {
            let node = self.view.nodes.iter().find(|node| node.node_name == other.host);
            match node.map(|node| node.health.as_str()) {
                None => self.complain(format!("does not know {}", other.name)),
                Some("UP") => {}
                Some(health) => self.complain(format!("calls {} {health}", other.name)),
            }
        }
        let view = self.view;
        for node in view.nodes.iter().filter(|node| node.health == "UP") {
            let member = self.seen.iter().any(|other| other.host == node.node_name);
            if !member && !self.is_beside(&node.node_name) {
                self.complain(format!(
                    "calls {} at {} UP, which is not there",
                    node.node_name, node.address
                ));
            }
        }
    }

    fn service(&mut self, service: &str) {
        // A name in more than one zone is the same service to a person who reads this.
        let full = format!("{SERVICE_PREFIX}{service}");
        let view = self.view;
        let instances: Vec<&InstanceView> = view
            .services
            .iter()
            .filter(|known| known.service == full)
            .flat_map(|known| &known.instances)
            .collect();
        let mut expected = 0;
        let mut found = 0;
        for other in self.seen {
            let Role::Service { name, weight } = &other.role else {
                continue;
            };
            if name != service {
                continue;
            }
            expected += 1;
            let instance = instances.iter().find(|known| known.node_name == other.host);
            match instance {
                Some(known) if known.state != "UP" => {
                    self.complain(format!(
                        "calls service {service} on {} {}",
                        other.name, known.state
                    ));
                }
                Some(known) if known.weight != *weight => {
                    let has = known.weight;
                    self.complain(format!("gives {} weight {has} instead of {weight}", other.name));
                }
                Some(_) => found += 1,
                None => {}
            }
        }
        let ghosts = instances.len()
            - instances
                .iter()
                .filter(|known| self.offers(service, known))
                .count();
        if ghosts > 0 {
            self.complain(format!(
                "sees {ghosts} instances of service {service} that are not there"
            ));
        }
        if found < expected {
            self.complain(format!("sees service {service} {found}/{expected}"));
        }
        if self.who.role.balances() {
            self.group(service, &instances);
        }
    }

    fn offers(&self, service: &str, instance: &InstanceView) -> bool {
        let mut all = self.seen.iter();
        self.is_beside(&instance.node_name)
            || all.any(|other| other.host == instance.node_name && other.role.service() == Some(service))
    }

    fn group(&mut self, service: &str, instances: &[&InstanceView]) {
        let name = group_name(service);
        let Some(group) = self.view.groups.iter().find(|group| group.name == name) else {
            return self.complain(format!("has no server group {name}"));
        };
        let wanted: BTreeMap<SocketAddr, u32> = instances
            .iter()
            .map(|known| (SocketAddr::new(known.address, known.port), known.weight))
            .collect();
        let usable: BTreeMap<SocketAddr, u32> = group
            .servers
            .iter()
            .filter(|server| server.state == "UP")
            .map(|server| (server.address, server.weight))
            .collect();
        if usable != wanted {
            let matching = usable
                .iter()
                .filter(|(address, weight)| wanted.get(address) == Some(weight))
                .count();
            let others = usable.len() - matching;
            let others = if others == 0 {
                String::new()
            } else {
                format!(", and {others} others")
            };
            self.complain(format!(
                "has {matching}/{} of group {name} UP{others}",
                wanted.len()
            ));
        }
    }

    fn unknown_services(&mut self) {
        let view = self.view;
        for known in view.services.iter().filter(|known| !known.instances.is_empty()) {
            let offered = |other: &Seen| {
                known
                    .service
                    .strip_prefix(SERVICE_PREFIX)
                    .is_some_and(|name| other.role.service() == Some(name))
            };
            let all_beside = known
                .instances
                .iter()
                .all(|known| self.is_beside(&known.node_name));
            if !all_beside && !self.seen.iter().any(offered) {
                self.complain(format!("sees service {}, which nobody offers", known.service));
            }
        }
    }
}

#[cfg(test)]
mod tests;
