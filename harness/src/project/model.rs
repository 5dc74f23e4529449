//! A Compose project as Compose's own `config` command prints it. Read is only what the plan needs, so all of Compose's
//! language is supported: it is resolved already.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::Value;

use super::ports::{Port, Published, ports};
use super::value::{field, list, map, names, text};

/// The network that Compose attaches a service to if its file names none.
pub const DEFAULT_NETWORK: &str = "default";
/// Keys of `deploy` that only Swarm reads.
const SWARM_ONLY: [&str; 4] = ["endpoint_mode", "mode", "rollback_config", "update_config"];

/// A project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Its name, if Compose printed it: 1.29 does not.
    pub name: Option<String>,
    /// Its services by name.
    pub services: BTreeMap<String, Service>,
    /// The networks that it declares, by key.
    pub networks: BTreeMap<String, Network>,
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

fn network_of(value: &Value) -> Result<Network, String> {
    let external = field(value, "external").is_some_and(|external| *external != Value::Bool(false));
    let mut network = Network {
        name: field(value, "name").and_then(text),
        external,
        ..Network::default()
    };
    let Some(ipam) = field(value, "ipam") else {
        return Ok(network);
    };
    for block in list(ipam, "config")? {
        network.subnets.extend(field(block, "subnet").and_then(text));
        let gateway = field(block, "gateway").and_then(text);
        let others = map(block, "aux_addresses")?;
        let others = others.into_iter().filter_map(|(_, address)| text(address));
        let addresses = gateway.into_iter().chain(others);
        network
            .reserved
            .extend(addresses.filter_map(|address| address.parse::<IpAddr>().ok()));
    }
    Ok(network)
}

fn service_of(value: &Value) -> Result<Service, String> {
    let namespace = match field(value, "network_mode").and_then(text).as_deref() {
        None | Some("" | "bridge" | "default") => Namespace::Own,
        Some("host") => Namespace::Host,
        Some(mode) => match mode.strip_prefix("service:") {
            Some(service) => Namespace::Service(service.to_owned()),
            None => Namespace::Other(mode.to_owned()),
        },
    };
    let (ports, published) = ports(value)?;
    let deploy = field(value, "deploy").unwrap_or(&Value::Null);
    let count = |value: &Value, key| field(value, key).and_then(Value::as_u64);
    let swarm_only = SWARM_ONLY.into_iter().filter(|key| {
        // Compose prints its default of the mode.
        field(deploy, key).is_some_and(|value| value.as_str() != Some("replicated"))
    });
    let mut networks = BTreeMap::new();
    for (key, attachment) in entries(value, "networks")? {
        networks.insert(key, attachment_of(attachment)?);
    }
    if networks.is_empty() && namespace == Namespace::Own {
        networks.insert(DEFAULT_NETWORK.to_owned(), Attachment::default());
    }
    let mut own_names = BTreeSet::new();
    for link in names(value, "external_links")? {
        own_names.insert(alias_of(&link).0.to_owned());
    }
    for host in names(value, "extra_hosts")? {
        own_names.extend(host.split([':', '=']).next().map(str::to_owned));
    }
    let links = names(value, "links")?;
    let mut mounts = Vec::new();
    for mount in list(value, "volumes")? {
        mounts.push(mount_of(mount)?);
    }
    let depends_on = entries(value, "depends_on")?
        .into_iter()
        .map(|(name, condition)| {
            let condition = field(condition, "condition").and_then(text);
            (name, condition.unwrap_or_else(|| "service_started".to_owned()))
        });
    let labels = map(value, "labels")?.into_iter();
    Ok(Service {
        image: field(value, "image").and_then(text),
        builds: field(value, "build").is_some(),
        restarts: field(value, "restart")
            .and_then(text)
            .is_some_and(|policy| policy != "no")
            || field(deploy, "restart_policy").is_some(),
        ports,
        published,
        networks,
        namespace,
        links: links
            .iter()
            .map(|link| alias_of(link))
            .map(|(alias, service)| (alias.to_owned(), service.to_owned()))
            .collect(),
        own_names,
        depends_on: depends_on.collect(),
        container_name: field(value, "container_name").and_then(text),
        profiles: names(value, "profiles")?.into_iter().collect(),
        mounts,
        labels: labels
            .filter_map(|(key, value)| Some((key.to_owned(), text(value)?)))
            .collect(),
        replicas: count(value, "scale")
            .or_else(|| count(deploy, "replicas"))
            .unwrap_or(1),
        swarm_only: swarm_only.collect(),
        mentions: ["environment", "command", "entrypoint"]
            .into_iter()
            .filter_map(|key| field(value, key))
            .map(Value::to_string)
            .collect::<Vec<_>>()
            .join(" "),
    })
}

/// The entries of a map, or of a list of names.
fn entries<'a>(value: &'a Value, key: &str) -> Result<Vec<(String, &'a Value)>, String> {
    if field(value, key).is_some_and(Value::is_array) {
        return Ok(names(value, key)?
            .into_iter()
            .map(|name| (name, &Value::Null))
            .collect());
    }
    let entries = map(value, key)?.into_iter();
    Ok(entries.map(|(name, value)| (name.to_owned(), value)).collect())
}

fn attachment_of(value: &Value) -> Result<Attachment, String> {
    let addresses = ["ipv4_address", "ipv6_address"].into_iter();
    Ok(Attachment {
        aliases: names(value, "aliases")?,
        addresses: addresses
            .filter_map(|key| field(value, key).and_then(text)?.parse().ok())
            .collect(),
    })
}

/// The alias and the target of a link, `TARGET[:ALIAS]`.
fn alias_of(link: &str) -> (&str, &str) {
    match link.split_once(':') {
        Some((target, alias)) => (alias, target),
        None => (link, link),
    }
}

/// A mount in the long form, or as `[SOURCE:]TARGET[:OPTIONS]`, which 1.29 prints.
fn mount_of(value: &Value) -> Result<Mount, String> {
    if let Some(short) = value.as_str() {
        let parts: Vec<&str> = short.split(':').collect();
        let (source, target, options) = match parts.as_slice() {
            [target] => ("", *target, ""),
            [source, target] => (*source, *target, ""),
            [source, target, options] => (*source, *target, *options),
            _ => return Err(format!("volumes: `{short}`: expected SOURCE:TARGET:OPTIONS")),
        };
        return Ok(Mount {
            source: source.to_owned(),
            target: target.to_owned(),
            writable: !options.split(',').any(|option| option == "ro"),
        });
    }
    let own = |key| field(value, key).and_then(text).unwrap_or_default();
    let temporary = own("type") == "tmpfs";
    Ok(Mount {
        source: if temporary { String::new() } else { own("source") },
        target: own("target"),
        writable: field(value, "read_only") != Some(&Value::Bool(true)),
    })
}

impl Mount {
    /// Whether all containers of the service write to the same files. The engine's socket is no data.
    pub fn shared(&self) -> bool {
        self.writable && !self.source.is_empty() && !self.target.ends_with(".sock")
    }
}

#[cfg(test)]
mod tests;
