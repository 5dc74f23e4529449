//! Decides which services get a waypoint, and why others get none.

use std::collections::{BTreeMap, BTreeSet};

use super::app_protocol::AppProtocol;
use super::images::{passive, stateful};
use super::model::{Config, Namespace, Service};
use super::plan::Facts;
use super::ports::{Port, Protocol};
use super::settings::{Check, Settings};

/// Ports of one service above which it gets no waypoint: each is a listener.
const PORTS_LIMIT: usize = 256;

/// What is decided about a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Callee {
    /// It gets a waypoint.
    Waypoint {
        /// Ports on which a container may accept.
        ports: BTreeSet<u16>,
        /// What connections to them carry, if it is not TCP.
        protocols: BTreeMap<u16, AppProtocol>,
        /// How containers are tested.
        check: Check,
    },
    /// Nothing tells its ports, so it has to be looked at while it runs.
    Unknown,
    /// It gets none, for this reason.
    LeftOut(String),
    /// It gets none, and nobody calls it: it listens on no port.
    Uncalled,
}

/// Decides about the active service `name`.
pub(super) fn callee(config: &Config, facts: &Facts, name: &str, settings: &Settings) -> Callee {
    let service = &config.services[name];
    if let Some(reason) = left_out(config, service, name, settings) {
        return Callee::LeftOut(reason);
    }
    let ports = ports(config, facts, name, settings);
    if let Some(port) = ports.iter().find(|port| port.protocol == Protocol::Other) {
        return Callee::LeftOut(format!(
            "it has the port {} that is not TCP, and a name leads to a waypoint for all protocols",
            port.number
        ));
    }
    if ports.len() > PORTS_LIMIT {
        return Callee::LeftOut(format!(
            "it declares {} ports; a waypoint has at most {PORTS_LIMIT}",
            ports.len()
        ));
    }
    if ports.is_empty() {
        return match facts.seen.tcp.get(name) {
            Some(_) => Callee::Uncalled,
            None => unknown(config, service),
        };
    }
    let image = service.image.as_deref().unwrap_or_default();
    if stateful(image) && service.replicas > 1 && !settings.balance {
        return Callee::LeftOut(format!(
            "several containers of {image} are no equal replicas; mesh.balance: all balances them"
        ));
    }
    let numbers: BTreeSet<u16> = ports.into_iter().map(|port| port.number).collect();
    let probing = if passive(image) {
        Check::Passive
    } else {
        Check::Tcp
    };
    let protocols = numbers
        .iter()
        .map(|port| (*port, protocol(config, facts, name, settings, *port)))
        .filter(|(_, protocol)| *protocol != AppProtocol::Tcp);
    Callee::Waypoint {
        protocols: protocols.collect(),
        ports: numbers,
        check: settings.check.clone().unwrap_or(probing),
    }
}

fn left_out(config: &Config, service: &Service, name: &str, settings: &Settings) -> Option<String> {
    let in_namespace = match &service.namespace {
        Namespace::Own => None,
        Namespace::Host => {
            Some("it uses the host's network, where its name is none of the project's".to_owned())
        }
        Namespace::Service(owner) => Some(format!(
            "it is reached by the name of {owner}, whose network it uses"
        )),
        Namespace::Other(mode) => Some(format!("its network_mode is {mode}")),
    };
    if in_namespace.is_some() {
        return in_namespace;
    }
    if settings.no_waypoint {
        return Some("mesh.waypoint is none".to_owned());
    }
    if !is_host_name(name) {
        return Some("a waypoint cannot look its name up, because it is not a host name".to_owned());
    }
    one_shot(config, name).then(|| "it is a job: others wait until it has completed".to_owned())
}

/// Whether the sidecar takes a service's name for a host name. It takes a number at the end for that of an address.
fn is_host_name(name: &str) -> bool {
    let mut labels = name.split('.');
    let valid = |label: &str| (1..=63).contains(&label.len()) && !label.starts_with('-');
    labels.clone().all(valid)
        && labels
            .next_back()
            .is_some_and(|last| !last.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a service depends on this one's end.
fn one_shot(config: &Config, name: &str) -> bool {
    let mut conditions = config
        .services
        .values()
        .filter_map(|other| other.depends_on.get(name));
    conditions.any(|condition| condition == "service_completed_successfully")
}

/// The declared ports and those seen, also of services in its network namespace: they are reached by its name.
fn ports(config: &Config, facts: &Facts, name: &str, settings: &Settings) -> BTreeSet<Port> {
    let of = |protocol| {
        move |number: &u16| Port {
            number: *number,
            protocol,
        }
    };
    let tcp = of(Protocol::Tcp);
    let named = settings.ports.iter().chain(settings.protocols.keys());
    let mut all: BTreeSet<Port> = named.map(tcp).collect();
    for (other, service) in &config.services {
        if config.namespace_owner(other) == Some(name) {
            all.extend(&service.ports);
            all.extend(facts.image_ports.get(other).into_iter().flatten());
            all.extend(facts.seen.tcp.get(other).into_iter().flatten().map(tcp));
            let udp = facts.seen.udp.get(other).into_iter().flatten();
            all.extend(udp.map(of(Protocol::Other)));
        }
    }
    all
}

/// What connections to a port carry: what a setting says; of a database TCP; what the file says of the port; HTTP if the
/// containers are tested by it, or if a health check calls this port so.
fn protocol(config: &Config, facts: &Facts, name: &str, settings: &Settings, port: u16) -> AppProtocol {
    if let Some(set) = settings.protocols.get(&port).copied().or(settings.protocol) {
        return set;
    }
    let http = |called: bool| called.then_some(AppProtocol::Http);
    let own = config.services.iter().filter(|(other, service)| {
        let image = service.image.as_deref().unwrap_or_default();
        config.namespace_owner(other) == Some(name) && !stateful(image)
    });
    let told = own.filter_map(|(other, service)| {
        let tested = other == name && matches!(settings.check, Some(Check::Http(_)));
        let declared = service.app_protocols.get(&port).copied();
        let checked = service.http_checked.as_ref();
        let checked = checked.or(facts.image_checks.get(other));
        declared.or(http(tested || checked.is_some_and(|ports| ports.contains(&port))))
    });
    told.max_by_key(|protocol| *protocol == AppProtocol::Tcp)
        .unwrap_or_default()
}

/// A service whose ports nothing tells is looked at before others are started, but only if its early start harms nothing.
fn unknown(config: &Config, service: &Service) -> Callee {
    let why = if let Some(mount) = service.mounts.iter().find(|mount| mount.shared()) {
        format!("it writes to {}", mount.source)
    } else if let Some(key) = takes_reserved(config, service) {
        format!("started early, it could take a static address of {key}")
    } else if !service.restarts {
        "without a restart policy it may be a job, which must not run twice".to_owned()
    } else {
        return Callee::Unknown;
    };
    Callee::LeftOut(format!(
        "its ports are unknown until it has run, and {why}; the next `up` knows them, or mesh.ports names them"
    ))
}

/// A network on which the engine could give the service an address that another one has as a static address.
fn takes_reserved<'a>(config: &'a Config, service: &'a Service) -> Option<&'a str> {
    let dynamic = service
        .networks
        .iter()
        .filter(|(_, attachment)| attachment.addresses.is_empty());
    let reserved = |key: &String| {
        let mut attachments = config
            .services
            .values()
            .filter_map(|other| other.networks.get(key));
        attachments.any(|attachment| !attachment.addresses.is_empty())
    };
    dynamic
        .map(|(key, _)| key)
        .find(|key| reserved(key))
        .map(String::as_str)
}
