//! A Compose project as Compose's own `config` command prints it. Read is only what the plan needs, so all of Compose's
//! language is supported: it is resolved already.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::Value;

use super::app_protocol::AppProtocol;
use super::ports::{Port, Published};
use super::value::{field, map, text};
use read::{network_of, service_of};

/// The network that Compose attaches a service to if its file names none.
pub const DEFAULT_NETWORK: &str = "default";

/// A project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Its name, if Compose printed it: 1.29 does not.
    pub name: Option<String>,
    /// Its services by name.
    pub services: BTreeMap<String, Service>,
    /// The networks that it declares, by key.
    pub networks: BTreeMap<String, Network>,
    /// Its `x-mesh`, which holds for all services; null without one. Compose's output lacks it, or a service's.
    pub x_mesh: Value,
}

/// A network that the project declares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// Its name in the engine, if it is not derived from its key.
    pub name: Option<String>,
    /// Whether Compose expects it to exist, so that other projects may be attached to it.
    pub external: bool,
    /// Its subnets, as text.
    pub subnets: Vec<String>,
    /// Addresses of gateways and other hosts.
    pub reserved: BTreeSet<IpAddr>,
}

/// The network namespace of a service's containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Namespace {
    /// Their own, attached to networks.
    #[default]
    Own,
    /// The host's.
    Host,
    /// That of another service of the project.
    Service(String),
    /// None, or that of a container outside the project.
    Other(String),
}

/// How a service is attached to a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    /// Additional names.
    pub aliases: Vec<String>,
    /// Static addresses.
    pub addresses: Vec<IpAddr>,
}

/// A volume, bind mount or tmpfs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mount {
    /// The volume's key or the host's path; empty for an anonymous volume or a tmpfs.
    pub source: String,
    /// The path in the container.
    pub target: String,
    /// Whether the container may write to it.
    pub writable: bool,
}

/// A service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// Its image, if the file names one.
    pub image: Option<String>,
    /// Whether the file says how to build it.
    pub builds: bool,
    /// Whether the engine starts it again when it ends: then it is no job.
    pub restarts: bool,
    /// Ports of `expose` and `ports`, inside the container.
    pub ports: BTreeSet<Port>,
    /// What the file says that connections to these ports carry.
    pub app_protocols: BTreeMap<u16, AppProtocol>,
    /// The ports that its health check calls by HTTP; `None` if that is the image's.
    pub http_checked: Option<BTreeSet<u16>>,
    /// Host ports that its containers take, as text: a single one cannot be taken twice.
    pub published: Vec<Published>,
    /// Its networks by key.
    pub networks: BTreeMap<String, Attachment>,
    /// Its network namespace.
    pub namespace: Namespace,
    /// `links`: the alias, and the service that it names.
    pub links: BTreeMap<String, String>,
    /// Names that its own `external_links` and `extra_hosts` define.
    pub own_names: BTreeSet<String>,
    /// The services that it depends on, with the condition.
    pub depends_on: BTreeMap<String, String>,
    /// The name of its container, if the file sets it.
    pub container_name: Option<String>,
    /// The profiles that it belongs to.
    pub profiles: BTreeSet<String>,
    /// Its mounts.
    pub mounts: Vec<Mount>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its `x-mesh`; null without one.
    pub x_mesh: Value,
    /// Its environment, as Compose prints it; a value may be null.
    pub environment: BTreeMap<String, Value>,
    /// The entries of `ports`, as Compose prints them.
    pub printed_ports: Vec<Value>,
    /// Number of its containers.
    pub replicas: u64,
    /// Keys of `deploy` that Compose ignores.
    pub swarm_only: Vec<&'static str>,
    /// Its environment and its command, as text in which names of other services may stand.
    pub mentions: String,
}

impl Config {
    /// Reads the output of `config`.
    ///
    /// # Errors
    /// A value does not have a shape that Compose prints; the text names the key.
    pub fn read(printed: &Value) -> Result<Self, String> {
        let mut config = Self {
            name: field(printed, "name").and_then(text),
            ..Self::default()
        };
        for (key, network) in map(printed, "networks")? {
            let network = network_of(network).map_err(|error| format!("networks.{key}.{error}"))?;
            config.networks.insert(key.to_owned(), network);
        }
        for (name, service) in map(printed, "services")? {
            let service = service_of(service).map_err(|error| format!("services.{name}.{error}"))?;
            config.services.insert(name.to_owned(), service);
        }
        Ok(config)
    }

    /// Removes the services of profiles that are not active, which 1.29 prints. A service without profiles is active.
    pub fn keep_active(&mut self, active: &BTreeSet<String>) {
        let all = active.contains("*");
        self.services
            .retain(|_, service| all || service.profiles.is_empty() || !service.profiles.is_disjoint(active));
    }

    /// The `running` services that depend on one that does not run, such as a job that has ended.
    pub fn depending_on_ended<'a>(&'a self, running: &BTreeSet<&str>) -> Vec<&'a str> {
        let ended = |name: &String| self.services.contains_key(name) && !running.contains(name.as_str());
        let depending = self.services.iter().filter(|(name, service)| {
            running.contains(name.as_str()) && service.depends_on.keys().any(ended)
        });
        depending.map(|(name, _)| name.as_str()).collect()
    }

    /// The service whose network namespace `service` is in: itself, unless it joins another one. `None` if that one is
    /// not active, or if the namespace is not one of the project's networks.
    pub fn namespace_owner<'a>(&'a self, service: &'a str) -> Option<&'a str> {
        let mut at = service;
        // Each step leaves one service behind, so a circle of them ends too.
        for _ in 0..=self.services.len() {
            match &self.services.get(at)?.namespace {
                Namespace::Own => return Some(at),
                Namespace::Service(next) => at = next,
                Namespace::Host | Namespace::Other(_) => return None,
            }
        }
        None
    }
}

impl Mount {
    /// Whether all containers of the service write to the same files. The engine's socket is no data.
    pub fn shared(&self) -> bool {
        self.writable && !self.source.is_empty() && !self.target.ends_with(".sock")
    }
}

mod read;
#[cfg(test)]
mod tests;
