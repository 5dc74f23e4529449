//! `discovery.conf`: `key = value` lines, `#` comments. All keys but `discovery.address`, `discovery.node_name`,
//! `discovery.key_file` and `discovery.instance_networks` are the original's.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;

use super::wire::check_name;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::interface::{IpType, Pinned};

/// Limit of the targets (addresses times ports) of the search network.
const MAX_SEARCH: u128 = 1 << 20;

/// Limit of `discovery.instance_networks`.
const MAX_INSTANCE_NETWORKS: usize = 64;

/// The settings of a node's discovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoverySettings {
    /// The interface whose address the node announces and binds.
    pub nic: String,
    /// The IP version of the interface's address to use.
    pub ip_type: IpType,
    /// The address to announce and bind, instead of the interface's: lets several nodes share one machine's loopback
    /// network. An extension of this sidecar.
    pub address: Option<IpAddr>,
    /// The node's name; by default the host's. An extension of this sidecar.
    pub node_name: Option<String>,
    /// The file with the mesh key; without one, nothing is sealed. An extension of this sidecar.
    pub key_file: Option<PathBuf>,
    /// The source port of every datagram sent. 0 takes any free port.
    pub udp_sock_port: u16,
    /// The port that datagrams arrive at. 0 takes any free port.
    pub udp_port: u16,
    /// The port of the exchange server. 0 takes any free port.
    pub tcp_port: u16,
    /// Prefix length of the network to search, in bits, applied to the node's address.
    pub search_mask: u8,
    /// The first port searched on every address.
    pub search_min_udp_port: u16,
    /// The last port searched on every address.
    pub search_max_udp_port: u16,
    /// Networks beyond those of the machine's interfaces in which an instance counts that is not at its node's address. An
    /// extension of this sidecar.
    pub instance_networks: Vec<IpNet>,
}

impl Default for DiscoverySettings {
    fn default() -> Self {
        Self {
            nic: "eth0".to_owned(),
            ip_type: IpType::V4,
            address: None,
            node_name: None,
            key_file: None,
            udp_sock_port: 56565,
            udp_port: 31000,
            tcp_port: 31000,
            search_mask: 24,
            search_min_udp_port: 31000,
            search_max_udp_port: 31000,
            instance_networks: Vec::new(),
        }
    }
}

const KEYS: [&str; 12] = [
    "discovery.nic",
    "discovery.ip_type",
    "discovery.address",
    "discovery.node_name",
    "discovery.key_file",
    "discovery.udp_sock_port",
    "discovery.udp_port",
    "discovery.tcp_port",
    "discovery.search.mask",
    "discovery.search.min_udp_port",
    "discovery.search.max_udp_port",
    "discovery.instance_networks",
];

impl DiscoverySettings {
    /// The interface with the address that is given for it, if one is.
    #[must_use]
    pub fn pinned(&self) -> Option<Pinned> {
        self.address.map(|address| Pinned {
            nic: self.nic.clone(),
            address,
        })
    }

    /// Parses the text of a file; keys that it does not set keep their defaults.
    ///
    /// # Errors
    /// All errors of the file, each with its line.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostics> {
        let mut reader = Reader {
            file,
            faults: Vec::new(),
            lines: HashMap::new(),
        };
        let mut config = Self::default();
        for (index, line) in text.lines().enumerate() {
            reader.line(index + 1, line, &mut config);
        }
        reader.check_address(&mut config);
        reader.check_search(&config);
        if reader.faults.is_empty() {
            return Ok(config);
        }
        reader.faults.sort_by_key(|fault| fault.line);
        Err(Diagnostics(reader.faults))
    }
}

/// Parses networks that are separated by commas.
fn networks(list: &str) -> Result<Vec<IpNet>, String> {
    let words: Vec<&str> = list.split(',').map(str::trim).collect();
    if words.len() > MAX_INSTANCE_NETWORKS {
        let found = words.len();
        return Err(format!(
            "expected at most {MAX_INSTANCE_NETWORKS} networks, found {found}"
        ));
    }
    words.into_iter().map(network).collect()
}

fn network(word: &str) -> Result<IpNet, String> {
    const EXPECTED: &str = "expected networks such as 192.0.2.0/24 or 2001:db8::/64, separated by commas";
    let address = word.parse::<IpAddr>().map(IpNet::from);
    let network = address.or_else(|_| word.parse()).map_err(|_| match word {
        "" => format!("{EXPECTED}; one is missing"),
        _ => format!("{EXPECTED}, found `{word}`"),
    })?;
    if matches!(network, IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some()) {
        return Err(format!("{EXPECTED}, found `{word}`: write IPv4 networks as such"));
    }
    if network.trunc() != network {
        let all = network.trunc();
        return Err(format!(
            "{EXPECTED}, found `{word}`: the address has bits beyond the prefix; the network is {all}"
        ));
    }
    Ok(network)
}

struct Reader<'a> {
    file: &'a str,
    faults: Vec<Diagnostic>,
    /// The line on which each key was first set.
    lines: HashMap<&'static str, usize>,
}

impl Reader<'_> {
    fn fault(&mut self, line: usize, word: &str, message: impl Into<String>) {
        self.faults.push(Diagnostic {
            file: self.file.to_owned(),
            line,
            word: word.to_owned(),
            message: message.into(),
        });
    }

    fn line(&mut self, number: usize, line: &str, config: &mut DiscoverySettings) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            return;
        }
        let Some((key, value)) = line.split_once('=') else {
            return self.fault(number, line, "expected `key = value`");
        };
        let (key, value) = (key.trim(), value.trim());
        let Some(&key) = KEYS.iter().find(|known| **known == key) else {
            let message = format!("unknown key; expected one of {}", KEYS.join(", "));
            return self.fault(number, key, message);
        };
        if let Some(first) = self.lines.get(key) {
            let message = format!("set a second time; it was set on line {first}");
            return self.fault(number, key, message);
        }
        self.lines.insert(key, number);
        match key {
            "discovery.nic" if value.is_empty() => {
                self.fault(
                    number,
                    key,
                    "expected the name of a network interface, found nothing",
                );
            }
            "discovery.nic" => value.clone_into(&mut config.nic),
            "discovery.ip_type" => self.set(number, key, value, "v4 or v6", &mut config.ip_type),
            "discovery.address" => {
                let mut address = IpAddr::from([0, 0, 0, 0]);
                self.set(number, key, value, "an IP address", &mut address);
                config.address = Some(address);
            }
            "discovery.node_name" if value.is_empty() => {
                self.fault(number, key, "expected a name, found nothing");
            }
            "discovery.node_name" => match check_name(value) {
                Ok(()) => config.node_name = Some(value.to_owned()),
                Err(why) => self.fault(number, key, why),
            },
            "discovery.key_file" if value.is_empty() => {
                self.fault(number, key, "expected the name of a file, found nothing");
            }
            "discovery.key_file" => config.key_file = Some(value.into()),
            "discovery.udp_sock_port" => self.set_port(number, key, value, &mut config.udp_sock_port),
            "discovery.udp_port" => self.set_port(number, key, value, &mut config.udp_port),
            "discovery.tcp_port" => self.set_port(number, key, value, &mut config.tcp_port),
            "discovery.search.mask" => {
                self.set(
                    number,
                    key,
                    value,
                    "a number of bits 0..128",
                    &mut config.search_mask,
                );
            }
            "discovery.search.min_udp_port" => {
                self.set_port(number, key, value, &mut config.search_min_udp_port);
            }
            "discovery.search.max_udp_port" => {
                self.set_port(number, key, value, &mut config.search_max_udp_port);
            }
            _ => match networks(value) {
                Ok(networks) => config.instance_networks = networks,
                Err(why) => self.fault(number, key, why),
            },
        }
    }

    fn set<T: FromStr>(&mut self, line: usize, key: &str, value: &str, expected: &str, to: &mut T) {
        match value.parse() {
            Ok(value) => *to = value,
            Err(_) => self.fault(line, key, format!("expected {expected}, found `{value}`")),
        }
    }

    fn set_port(&mut self, line: usize, key: &str, value: &str, to: &mut u16) {
        let mut port = std::num::NonZeroU16::MIN;
        self.set(line, key, value, "a port number 1..65535", &mut port);
        *to = port.get();
    }

    /// The line of the first of these keys that is set, for errors that concern several keys.
    fn line_of(&self, keys: &[&str]) -> usize {
        keys.iter()
            .find_map(|key| self.lines.get(key).copied())
            .unwrap_or(1)
    }

    /// Whether none of these keys has a fault: otherwise their values say nothing about each other.
    fn are_sound(&self, keys: &[&str]) -> bool {
        !self
            .faults
            .iter()
            .any(|fault| keys.contains(&fault.word.as_str()))
    }

    /// Checks the address, alone and with its family.
    fn check_address(&mut self, config: &mut DiscoverySettings) {
        if let Some(address) = config.address
            && self.are_sound(&["discovery.address", "discovery.ip_type"])
        {
            let family = if address.is_ipv4() { IpType::V4 } else { IpType::V6 };
            if self.lines.contains_key("discovery.ip_type") && family != config.ip_type {
                let line = self.line_of(&["discovery.address"]);
                let message = format!(
                    "expected an address of the ip_type {}, found {address}",
                    config.ip_type
                );
                self.fault(line, "discovery.address", message);
            }
            if address.is_unspecified() || address.is_multicast() {
                let line = self.line_of(&["discovery.address"]);
                let message = format!("expected an address of this machine, found {address}");
                self.fault(line, "discovery.address", message);
            }
            config.ip_type = family;
        }
    }

    /// Checks the search network: its ports, its mask, and both together.
    fn check_search(&mut self, config: &DiscoverySettings) {
        let port_keys = ["discovery.search.max_udp_port", "discovery.search.min_udp_port"];
        let (min, max) = (config.search_min_udp_port, config.search_max_udp_port);
        if min > max && self.are_sound(&port_keys) {
            let line = self.line_of(&port_keys);
            let message =
                format!("expected at least discovery.search.min_udp_port, which is {min}, found {max}");
            self.fault(line, port_keys[0], message);
        }
        let mask_keys = ["discovery.search.mask", "discovery.ip_type", "discovery.address"];
        if !self.are_sound(&mask_keys) {
            return;
        }
        let line = self.line_of(&mask_keys);
        let bits: u8 = match config.ip_type {
            IpType::V4 => 32,
            IpType::V6 => 128,
        };
        if config.search_mask > bits {
            let message = format!("expected 0..{bits} bits, found {}", config.search_mask);
            return self.fault(line, mask_keys[0], message);
        }
        if !self.are_sound(&port_keys) {
            return;
        }
        let ports = u128::from(max - min) + 1;
        let host_bits = u32::from(bits - config.search_mask);
        let addresses = 1_u128.checked_shl(host_bits).unwrap_or(u128::MAX);
        if addresses.saturating_mul(ports) > MAX_SEARCH {
            let least = u32::from(bits) - (MAX_SEARCH / ports).ilog2();
            let message = format!(
                "a search of 2^{host_bits} addresses with {ports} port(s) each is too large; \
                 expected at least {least} bits, found {}",
                config.search_mask
            );
            self.fault(line, mask_keys[0], message);
        }
    }
}
