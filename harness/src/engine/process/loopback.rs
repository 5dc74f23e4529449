//! Rewrites a container's command line and config files for nodes that share one loopback network: each node gets its
//! own loopback address instead of 127.0.0.1. Pure.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use crate::compose::PublishedPort;

#[cfg(test)]
mod tests;

/// The config files' directory in the image.
const CONFIGS: &str = "/etc/sidecar/";
const INTERFACE: &str = "lo";
/// Prefixes of addresses that refer to the container itself.
const HERE: [&str; 2] = ["127.0.0.1:", "0.0.0.0:"];
/// The frontend's defaults, added as flags so that their addresses are rewritten.
const FRONTEND: [(&str, &[&str]); 3] = [
    ("--listen", &["0.0.0.0:8080"]),
    ("--socks5", &["127.0.0.1:1080"]),
    ("--lb", &["a=127.0.0.1:8081", "b=127.0.0.1:8082"]),
];
/// The default value of a service's `--sidecar`.
const SIDECAR: &str = "http://127.0.0.1:18080";

/// A node on this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    /// Its own loopback address.
    pub(super) address: Ipv4Addr,
    /// Its name.
    pub(super) name: &'a str,
    /// The directory with its copies of the config files.
    pub(super) configs: &'a Path,
    /// Its published ports.
    pub(super) ports: &'a [PublishedPort],
}

impl Node<'_> {
    /// The address that a port of the container is bound to: the host's for a published port with a fixed host port,
    /// the node's own for any other.
    pub(super) fn bound(&self, port: u16) -> SocketAddr {
        let fixed = self.ports.iter().find_map(|published| {
            let host_port = published.host_port.filter(|_| published.container_port == port)?;
            Some(SocketAddr::from((published.host_ip, host_port)))
        });
        fixed.unwrap_or_else(|| SocketAddr::from((self.address, port)))
    }

    /// The sidecar's arguments, including those of its program.
    pub(super) fn arguments(&self, command: &[String]) -> Vec<String> {
        let (sidecar, program) = split(command);
        let configs = format!("{}/", self.configs.display());
        let mut arguments: Vec<String> = sidecar
            .iter()
            .map(|word| self.addresses(&word.replace(CONFIGS, &configs)))
            .collect();
        if !program.is_empty() {
            arguments.push("--".to_owned());
            let program = self.program(program);
            arguments.extend(program.iter().map(|word| self.addresses(word)));
        }
        arguments
    }

    fn program(&self, words: &[String]) -> Vec<String> {
        let mut words = words.to_vec();
        match words.first().map(String::as_str) {
            Some("frontend") => {
                for (flag, values) in FRONTEND {
                    if find(&words, flag).is_none() {
                        words.extend(
                            values
                                .iter()
                                .flat_map(|value| [flag.to_owned(), (*value).to_owned()]),
                        );
                    }
                }
            }
            Some("service") => {
                set(&mut words, "--listen", &self.address.to_string());
                set(&mut words, "--nic", INTERFACE);
                set(&mut words, "--host", self.name);
                if find(&words, "--sidecar").is_none() {
                    set(&mut words, "--sidecar", SIDECAR);
                }
            }
            _ => {}
        }
        words
    }

    /// The rewritten text of a config file. `discovery` means that it configures discovery.
    pub(super) fn config(&self, text: &str, discovery: bool) -> String {
        if !discovery {
            return self.addresses(text);
        }
        let own = [
            ("discovery.nic", INTERFACE.to_owned()),
            ("discovery.address", self.address.to_string()),
            ("discovery.node_name", self.name.to_owned()),
        ];
        let key = |line: &str| {
            line.split(['=', '#'])
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let kept = text
            .lines()
            .filter(|line| own.iter().all(|(own, _)| key(line) != *own))
            .map(str::to_owned);
        let lines: Vec<String> = kept
            .chain(own.iter().map(|(key, value)| format!("{key} = {value}")))
            .collect();
        lines.join("\n") + "\n"
    }

    /// Replaces each address of the container itself by the address that its port is bound to.
    fn addresses(&self, text: &str) -> String {
        let mut done = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((at, here)) = next_here(rest) {
            let digits: String = rest[at + here.len()..]
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            let end = at + here.len() + digits.len();
            let before = rest[..at]
                .chars()
                .next_back()
                .or_else(|| done.chars().next_back());
            let whole = !before.is_some_and(|c| c.is_ascii_digit() || c == '.');
            match digits.parse::<u16>() {
                Ok(port) if whole => {
                    done.push_str(&rest[..at]);
                    done.push_str(&self.bound(port).to_string());
                }
                _ => done.push_str(&rest[..end]),
            }
            rest = &rest[end..];
        }
        done + rest
    }
}

/// The name of the config file that configures discovery.
pub(super) fn discovery_file(command: &[String]) -> Option<&str> {
    const FLAG: &str = "--discovery-config";
    let (sidecar, _) = split(command);
    let value = match find(sidecar, FLAG)? {
        Found::Next(at) => sidecar.get(at)?,
        Found::Within(at) => sidecar.get(at)?.strip_prefix(FLAG)?.strip_prefix('=')?,
    };
    value.strip_prefix(CONFIGS)
}

fn split(command: &[String]) -> (&[String], &[String]) {
    match command.iter().position(|word| word == "--") {
        Some(at) => (&command[..at], &command[at + 1..]),
        None => (command, &[]),
    }
}

fn next_here(text: &str) -> Option<(usize, &'static str)> {
    HERE.iter()
        .filter_map(|here| text.find(here).map(|at| (at, *here)))
        .min()
}

/// The position of a flag's value.
enum Found {
    /// The value is the word at this index.
    Next(usize),
    /// The value is in the word at this index, after `=`.
    Within(usize),
}

fn find(words: &[String], flag: &str) -> Option<Found> {
    words.iter().enumerate().find_map(|(at, word)| {
        let rest = word.strip_prefix(flag)?;
        match rest.chars().next() {
            None => Some(Found::Next(at + 1)),
            Some('=') => Some(Found::Within(at)),
            Some(_) => None,
        }
    })
}

fn set(words: &mut Vec<String>, flag: &str, value: &str) {
    let (at, text) = match find(words, flag) {
        Some(Found::Next(at)) => (at, value.to_owned()),
        Some(Found::Within(at)) => (at, format!("{flag}={value}")),
        None => {
            words.push(flag.to_owned());
            (words.len(), value.to_owned())
        }
    };
    match words.get_mut(at) {
        Some(word) => *word = text,
        None => words.push(text),
    }
}
