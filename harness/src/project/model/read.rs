//! Reads networks and services as Compose prints them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::Value;

use super::super::health_check::http_ports;
use super::super::ports::{Declared, ports};
use super::super::value::{field, list, map, names, text};
use super::{Attachment, DEFAULT_NETWORK, Mount, Namespace, Network, Service};

/// Keys of `deploy` that only Swarm reads.
const SWARM_ONLY: [&str; 4] = ["endpoint_mode", "mode", "rollback_config", "update_config"];

pub(super) fn network_of(value: &Value) -> Result<Network, String> {
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

pub(super) fn service_of(value: &Value) -> Result<Service, String> {
    let namespace = match field(value, "network_mode").and_then(text).as_deref() {
        None | Some("" | "bridge" | "default") => Namespace::Own,
        Some("host") => Namespace::Host,
        Some(mode) => match mode.strip_prefix("service:") {
            Some(service) => Namespace::Service(service.to_owned()),
            None => Namespace::Other(mode.to_owned()),
        },
    };
    let Declared {
        all: ports,
        published,
        app_protocols,
    } = ports(value)?;
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
        app_protocols,
        http_checked: http_ports(value),
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
        x_mesh: Value::Null,
        environment: environment(value)?,
        printed_ports: list(value, "ports")?.to_vec(),
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

/// The environment: a map, or a list of `NAME[=VALUE]`.
fn environment(service: &Value) -> Result<BTreeMap<String, Value>, String> {
    if field(service, "environment").is_some_and(Value::is_array) {
        let pairs = names(service, "environment")?;
        let pairs = pairs.into_iter().map(|pair| match pair.split_once('=') {
            Some((name, value)) => (name.to_owned(), Value::from(value)),
            None => (pair, Value::Null),
        });
        return Ok(pairs.collect());
    }
    let entries = map(service, "environment")?.into_iter();
    Ok(entries
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect())
}
