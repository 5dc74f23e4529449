//! What the harness adds to a project: decided from Compose's `config`, the images and the ports seen. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::addresses::{Assigned, pools};
use super::app_protocol::AppProtocol;
use super::callees::{Callee, callee};
use super::consumers::{Linked, links};
use super::listening::Sockets;
use super::model::{Config, Service};
use super::moved::{Moved, Proxied};
use super::ports::{Port, Protocol};
use super::settings::{Check, Settings};
use super::warnings::warnings;

/// What is known about a project beside its files.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The ports that the images of services declare.
    pub image_ports: BTreeMap<String, BTreeSet<Port>>,
    /// The ports that the health checks of their images call by HTTP.
    pub image_checks: BTreeMap<String, BTreeSet<u16>>,
    /// The ports on which services were seen listening. Those of TCP are empty if a service was looked at and listened on
    /// none.
    pub seen: Sockets,
    /// Subnets of networks by key, where the file does not tell them.
    pub subnets: BTreeMap<String, Vec<IpNet>>,
    /// Addresses in use on a network, by its key, other than those of waypoints.
    pub used: BTreeMap<String, BTreeSet<IpAddr>>,
    /// The addresses that waypoints had.
    pub previous: Assigned,
    /// Services whose host ports `scale` moved to their waypoints.
    pub moved: BTreeSet<String>,
}

/// A waypoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waypoint {
    /// The name of its service in Compose.
    pub name: String,
    /// The called service.
    pub service: String,
    /// The name that its containers have for it.
    pub host: String,
    /// Ports on which a container may accept.
    pub ports: BTreeSet<u16>,
    /// What connections to them carry, if it is not TCP.
    pub protocols: BTreeMap<u16, AppProtocol>,
    /// How containers are tested.
    pub check: Check,
    /// Time for which a connection waits for a container, in milliseconds.
    pub hold: Option<u64>,
    /// Time after which an idle connection ends, in milliseconds.
    pub idle_timeout: Option<u64>,
    /// Its networks, with its static addresses on each.
    pub networks: BTreeMap<String, Vec<IpAddr>>,
    /// The name that consumers link to, if its own is not unique on its networks.
    pub alias: Option<String>,
    /// The number of its containers, if it is not one.
    pub count: Option<u8>,
    /// What it takes over from its service.
    pub moved: Moved,
    /// The ports that it declares as an image would, for proxies that read the engine.
    pub exposed: BTreeSet<u16>,
}

/// What is added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Waypoints, by called service.
    pub waypoints: BTreeMap<String, Waypoint>,
    /// For each consumer the names that lead to a waypoint, and the called service of each.
    pub links: BTreeMap<String, BTreeMap<String, String>>,
    /// Services whose ports nothing tells.
    pub unknown: BTreeSet<String>,
    /// Services that are called without a waypoint, with the reason.
    pub left_out: BTreeMap<String, String>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Plans the waypoints and links of the project `project`.
    ///
    /// # Errors
    /// A label has a wrong value, or a network with static addresses has no free one.
    pub fn new(project: &str, config: &Config, facts: &Facts) -> Result<Self, String> {
        let common = Settings::common(&config.x_mesh)?;
        let mut settings = BTreeMap::new();
        for (name, service) in &config.services {
            let own = common.clone().of(service);
            settings.insert(
                name.clone(),
                own.map_err(|error| format!("services.{name}: {error}"))?,
            );
        }
        let mut plan = Self::default();
        let names = waypoint_names(config);
        let mut pools = pools(config, facts);
        for (name, service) in &config.services {
            let settings = &settings[name];
            match callee(config, facts, name, settings) {
                Callee::Waypoint {
                    ports,
                    protocols,
                    check,
                } => {
                    let waypoint = Waypoint {
                        name: names[name].clone(),
                        service: name.clone(),
                        host: name.clone(),
                        ports,
                        protocols,
                        check,
                        hold: settings.hold,
                        idle_timeout: settings.idle_timeout,
                        networks: service
                            .networks
                            .keys()
                            .map(|key| (key.clone(), Vec::new()))
                            .collect(),
                        alias: None,
                        count: settings.waypoints.filter(|count| *count > 1),
                        moved: Moved::default(),
                        exposed: BTreeSet::new(),
                    };
                    let mut waypoint = unique(project, config, service, waypoint);
                    take_over(&mut waypoint, service, settings, facts)?;
                    plan.waypoints.insert(name.clone(), waypoint);
                }
                Callee::Unknown => {
                    plan.unknown.insert(name.clone());
                }
                Callee::LeftOut(reason) => {
                    plan.left_out.insert(name.clone(), reason);
                }
                Callee::Uncalled => {}
            }
            let wanted = [
                (settings.publish || facts.moved.contains(name), "its host ports"),
                (settings.move_labels, "its labels for proxies"),
            ];
            for (_, what) in wanted.into_iter().filter(|(wanted, _)| *wanted) {
                if !plan.waypoints.contains_key(name) {
                    let reason = plan
                        .left_out
                        .get(name)
                        .map_or("its TCP ports are unknown", String::as_str);
                    return Err(format!(
                        "services.{name}: {what} cannot move to a waypoint, since it gets none: {reason}"
                    ));
                }
            }
        }
        let called = plan.waypoints.keys().cloned().collect();
        let Linked { links, limited } = links(config, &settings, &called)?;
        plan.links = links;
        // A waypoint that nobody is linked to would only cost memory.
        let linked: BTreeSet<&String> = plan.links.values().flat_map(BTreeMap::values).collect();
        plan.waypoints
            .retain(|service, waypoint| linked.contains(service) || waypoint.moved != Moved::default());
        for waypoint in plan.waypoints.values_mut() {
            for (network, addresses) in &mut waypoint.networks {
                let Some(pool) = pools.get_mut(network) else {
                    continue;
                };
                if let Some(count) = waypoint.count {
                    return Err(format!(
                        "services.{}: mesh.waypoints: `{count}`: expected 1, because {network} has static addresses",
                        waypoint.service
                    ));
                }
                let previous = facts
                    .previous
                    .get(&waypoint.name)
                    .and_then(|networks| networks.get(network));
                *addresses = pool.assign(previous.map_or(&[], Vec::as_slice)).map_err(|subnet| {
                    format!(
                        "networks.{network}: the subnet {subnet} has static addresses and no free one for the waypoint \
                         of {}",
                        waypoint.service
                    )
                })?;
            }
        }
        plan.warnings = warnings(config, &plan.waypoints, limited);
        Ok(plan)
    }

    /// The static addresses of all waypoints.
    pub fn addresses(&self) -> Assigned {
        let of = |waypoint: &Waypoint| {
            let networks = waypoint
                .networks
                .iter()
                .filter(|(_, addresses)| !addresses.is_empty());
            networks
                .map(|(key, addresses)| (key.clone(), addresses.clone()))
                .collect()
        };
        let all = self.waypoints.values();
        all.map(|waypoint| (waypoint.name.clone(), of(waypoint)))
            .collect()
    }

    /// Takes up the ports of another plan for the same waypoints.
    pub fn take_ports(&mut self, from: &Self) {
        for (service, waypoint) in &mut self.waypoints {
            if let Some(now) = from.waypoints.get(service) {
                waypoint.ports.clone_from(&now.ports);
                waypoint.protocols.clone_from(&now.protocols);
            }
        }
    }

    /// The consumers of a called service.
    pub fn consumers<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a str> {
        let linked = self
            .links
            .iter()
            .filter(move |(_, names)| names.values().any(|called| called == service));
        linked.map(|(consumer, _)| consumer.as_str())
    }
}

/// Gives the waypoint what the settings move to it.
fn take_over(
    waypoint: &mut Waypoint,
    service: &Service,
    settings: &Settings,
    facts: &Facts,
) -> Result<(), String> {
    let name = &waypoint.service;
    if settings.publish || facts.moved.contains(name) {
        waypoint.moved.ports.clone_from(&service.printed_ports);
    }
    if let Some(count) = waypoint.count.filter(|_| !waypoint.moved.ports.is_empty()) {
        return Err(format!(
            "services.{name}: mesh.waypoints: `{count}`: expected 1, because its host ports move to the waypoint"
        ));
    }
    if settings.move_labels {
        waypoint.moved.proxied = Proxied::of(service);
        let image = facts.image_ports.get(name).into_iter().flatten();
        let declared = service.ports.iter().chain(image);
        let tcp = declared.filter(|port| port.protocol == Protocol::Tcp);
        waypoint.exposed = tcp.map(|port| port.number).collect();
    }
    Ok(())
}

/// The name of each service's waypoint, if it gets one. None is that of another one or of a service.
fn waypoint_names(config: &Config) -> BTreeMap<String, String> {
    let mut taken: BTreeSet<String> = config.services.keys().cloned().collect();
    let of = |service: &String| {
        let mut name = format!("{service}-mesh");
        while !taken.insert(name.clone()) {
            name.push_str("-mesh");
        }
        (service.clone(), name)
    };
    config.services.keys().map(of).collect()
}

/// Gives the waypoint and its service names of their own if they share a network with other projects, where the same
/// name may mean those of both.
fn unique(project: &str, config: &Config, service: &Service, mut waypoint: Waypoint) -> Waypoint {
    let shared = |key: &String| config.networks.get(key).is_some_and(|network| network.external);
    if service.networks.keys().any(shared) {
        waypoint.alias = Some(format!("{project}-{}", waypoint.name));
        waypoint.host = format!("{project}-{}-direct", waypoint.service);
    }
    waypoint
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod protocols;
#[cfg(test)]
mod tests;
