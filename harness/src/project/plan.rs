//! What the harness adds to a project: decided from Compose's `config`, the images and the ports seen. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::addresses::{Assigned, Pool};
use super::callees::{Callee, callee};
use super::consumers::{Linked, links};
use super::images::reads_engine;
use super::model::{Config, Service};
use super::ports::Port;
use super::settings::{Check, Settings};

/// What is known about a project beside its files.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The ports that the images of services declare.
    pub image_ports: BTreeMap<String, BTreeSet<Port>>,
    /// The TCP ports on which services were seen listening; empty if they were looked at and listened on none.
    pub seen: BTreeMap<String, BTreeSet<u16>>,
    /// Subnets of networks by key, where the file does not tell them.
    pub subnets: BTreeMap<String, Vec<IpNet>>,
    /// Addresses in use on a network, by its key, other than those of waypoints.
    pub used: BTreeMap<String, BTreeSet<IpAddr>>,
    /// The addresses that waypoints had.
    pub previous: Assigned,
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
        let mut settings = BTreeMap::new();
        for (name, service) in &config.services {
            let read =
                Settings::read(&service.labels).map_err(|error| format!("services.{name}: {error}"))?;
            settings.insert(name.clone(), read);
        }
        let mut plan = Self::default();
        let mut pools = pools(config, facts);
        for (name, service) in &config.services {
            let settings = &settings[name];
            match callee(config, facts, name, settings) {
                Callee::Waypoint { ports, check } => {
                    let waypoint = Waypoint {
                        name: waypoint_name(config, name),
                        service: name.clone(),
                        host: name.clone(),
                        ports,
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
                    };
                    let waypoint = unique(project, config, service, waypoint);
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
        }
        let called = plan.waypoints.keys().cloned().collect();
        let Linked { links, limited } = links(config, &settings, &called)?;
        plan.links = links;
        // A waypoint that nobody is linked to would only cost memory.
        let linked: BTreeSet<&String> = plan.links.values().flat_map(BTreeMap::values).collect();
        plan.waypoints.retain(|service, _| linked.contains(service));
        for waypoint in plan.waypoints.values_mut() {
            for (network, addresses) in &mut waypoint.networks {
                let Some(pool) = pools.get_mut(network) else {
                    continue;
                };
                if let Some(count) = waypoint.count {
                    return Err(format!(
                        "services.{}: label mesh.waypoints: `{count}`: expected 1, because {network} has static addresses",
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
        plan.warnings = warnings(config, limited);
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

    /// The consumers of a called service.
    pub fn consumers<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a str> {
        let linked = self
            .links
            .iter()
            .filter(move |(_, names)| names.values().any(|called| called == service));
        linked.map(|(consumer, _)| consumer.as_str())
    }
}

/// The networks on which a service has a static address.
fn pools(config: &Config, facts: &Facts) -> BTreeMap<String, Pool> {
    let mut pools: BTreeMap<String, Pool> = BTreeMap::new();
    for (key, attachment) in config.services.values().flat_map(|service| &service.networks) {
        if !attachment.addresses.is_empty() {
            pools
                .entry(key.clone())
                .or_default()
                .taken
                .extend(&attachment.addresses);
        }
    }
    for (key, pool) in &mut pools {
        if let Some(network) = config.networks.get(key) {
            pool.subnets = network
                .subnets
                .iter()
                .filter_map(|subnet| subnet.parse().ok())
                .collect();
            pool.taken.extend(&network.reserved);
        }
        if pool.subnets.is_empty() {
            pool.subnets = facts.subnets.get(key).cloned().unwrap_or_default();
        }
        pool.taken.extend(facts.used.get(key).into_iter().flatten());
    }
    pools
}

fn waypoint_name(config: &Config, service: &str) -> String {
    let mut name = format!("{service}-mesh");
    while config.services.contains_key(&name) {
        name.push_str("-mesh");
    }
    name
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

fn warnings(config: &Config, limited: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, service) in &config.services {
        if service.replicas > 1
            && let Some(mount) = service.mounts.iter().find(|mount| mount.shared())
        {
            warnings.push(format!(
                "{name}: {} containers write to the same {}: databases lose data so",
                service.replicas, mount.source
            ));
        }
        for key in &service.swarm_only {
            warnings.push(format!("{name}: deploy.{key} is read by Swarm only"));
        }
        let image = service.image.as_deref().unwrap_or_default();
        let socket = |path: &str| path.ends_with("docker.sock");
        if reads_engine(image) && service.mounts.iter().any(|mount| socket(&mount.target)) {
            warnings.push(format!(
                "{name}: {image} reads the containers' addresses from the engine, so it goes past waypoints"
            ));
        }
        for (key, attachment) in &service.networks {
            if !attachment.addresses.is_empty() && service.replicas > 1 {
                warnings.push(format!(
                    "{name}: a static address on {key} cannot be that of several containers"
                ));
            }
        }
        for host in service
            .own_names
            .iter()
            .filter(|host| config.services.contains_key(*host))
        {
            warnings.push(format!(
                "{name}: its own extra_hosts or external_links define {host}: it goes past the waypoint"
            ));
        }
    }
    if limited {
        warnings.push(format!(
            "more than {} pairs of services share a network, so a service is linked only to those that it names in \
             depends_on, links, environment or command; the label mesh.calls of a service adds others",
            super::consumers::PAIRS_LIMIT
        ));
    }
    warnings
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
