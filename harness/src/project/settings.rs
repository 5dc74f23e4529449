//! The labels `mesh.*` of a service and the keys of `x-mesh`, by which a file adjusts waypoints and calls.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::app_protocol::AppProtocol;
use super::model::Service;
use super::value::text;

/// Prefix of the labels that are read.
const PREFIX: &str = "mesh.";
/// All keys.
const KEYS: [&str; 11] = [
    "balance",
    "calls",
    "check",
    "hold",
    "idle-timeout",
    "move-labels",
    "ports",
    "protocol",
    "publish",
    "waypoint",
    "waypoints",
];
/// Keys that mean nothing for all services at once.
const OWN_KEYS: [&str; 4] = ["move-labels", "ports", "protocol", "publish"];
/// Edits by which an unknown key may differ from the one that is suggested.
const NEAR: usize = 3;
/// Bytes of a key above which it is compared with none.
const LONG: usize = 64;
/// Longest hold and idle timeout, in milliseconds: a day.
const LONGEST: u64 = 86_400_000;

/// How a waypoint tests the containers of its service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// By a TCP connection.
    #[default]
    Tcp,
    /// Only those that failed a connection.
    Passive,
    /// By a GET of this path; 2xx and 3xx pass.
    Http(String),
}

/// Which services a consumer calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Calls {
    /// As the plan finds out.
    #[default]
    Found,
    /// All on its networks.
    All,
    /// These.
    These(BTreeSet<String>),
}

/// A service's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// `mesh.waypoint: none`: it is called without a waypoint.
    pub no_waypoint: bool,
    /// `mesh.ports`: TCP ports that the file does not declare otherwise.
    pub ports: BTreeSet<u16>,
    /// `mesh.protocol`: what connections to the ports carry that `protocols` does not have.
    pub protocol: Option<AppProtocol>,
    /// `mesh.protocol` of single ports.
    pub protocols: BTreeMap<u16, AppProtocol>,
    /// `mesh.check`.
    pub check: Option<Check>,
    /// `mesh.hold`, in milliseconds: time for which a connection waits for a container that accepts it.
    pub hold: Option<u64>,
    /// `mesh.idle-timeout`, in milliseconds; 0 is none.
    pub idle_timeout: Option<u64>,
    /// `mesh.calls`.
    pub calls: Calls,
    /// `mesh.balance: all`: several containers of a database are balanced.
    pub balance: bool,
    /// `mesh.waypoints`: the number of waypoints, 1 or 2.
    pub waypoints: Option<u8>,
    /// `mesh.publish: waypoint`: its host ports are the waypoint's.
    pub publish: bool,
    /// `mesh.move-labels: proxy`: what proxies read from the engine about it is the waypoint's.
    pub move_labels: bool,
}

impl Settings {
    /// Reads the project's `x-mesh`, which holds for each service that does not say otherwise.
    ///
    /// # Errors
    /// A key is unknown or a service's own, or has a value that it cannot have.
    pub fn common(x_mesh: &Value) -> Result<Self, String> {
        let mut settings = Self::default();
        for (key, value) in entries(x_mesh)? {
            if OWN_KEYS.contains(&key.as_str()) {
                return Err(format!("x-mesh.{key}: expected in the x-mesh of a service"));
            }
            settings.set("x-mesh.", &key, &value)?;
        }
        Ok(settings)
    }

    /// These settings, changed by the service's `x-mesh` and its labels; those that do not begin with `mesh.` are others'.
    ///
    /// # Errors
    /// A key is unknown or given twice, or has a value that it cannot have.
    pub fn of(mut self, service: &Service) -> Result<Self, String> {
        let own = entries(&service.x_mesh)?;
        for (key, value) in &own {
            self.set("x-mesh.", key, value)?;
        }
        for (label, value) in &service.labels {
            let Some(key) = label.strip_prefix(PREFIX) else {
                continue;
            };
            if own.contains_key(key) {
                return Err(format!("label {label} and x-mesh.{key}: expected one of them"));
            }
            self.set("label mesh.", key, value.trim())?;
        }
        Ok(self)
    }

    /// Reads `PROTOCOL` or `PORT/PROTOCOL,...`, as a waypoint's command line has it.
    fn take_protocols(&mut self, value: &str) -> Result<(), &'static str> {
        let wrong = "tcp, http, http/1.x or h2, or ports with one of them, such as 8080/http,9090/tcp";
        for word in words(value) {
            let Some((port, protocol)) = word
                .split_once('/')
                .and_then(|(port, rest)| Some((port.parse().ok()?, rest)))
            else {
                self.protocol = Some(word.parse().map_err(|()| wrong)?);
                continue;
            };
            let protocol = protocol.parse().map_err(|()| wrong)?;
            if port == 0 || self.protocols.insert(port, protocol).is_some() {
                return Err(wrong);
            }
        }
        Ok(())
    }

    /// Sets what `key` says; `before` stands before it in messages.
    fn set(&mut self, before: &str, key: &str, value: &str) -> Result<(), String> {
        if !KEYS.contains(&key) {
            return Err(unknown(before, key));
        }
        self.take(key, value)
            .map_err(|expected| format!("{before}{key}: `{value}`: expected {expected}"))
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        match key {
            "waypoint" => {
                self.no_waypoint = match value {
                    "none" => true,
                    "auto" => false,
                    _ => return Err("none or auto"),
                }
            }
            "ports" => {
                let ports: Option<_> = words(value)
                    .map(|port| port.parse().ok().filter(|port| *port > 0))
                    .collect();
                self.ports = ports.ok_or("ports separated by commas, such as 8080,9090")?;
            }
            "protocol" => self.take_protocols(value)?,
            "check" => self.check = Some(check(value)?),
            "hold" => self.hold = Some(milliseconds(value)?),
            "idle-timeout" => self.idle_timeout = Some(milliseconds(value)?),
            "calls" => {
                self.calls = match value {
                    "all" => Calls::All,
                    "none" => Calls::These(BTreeSet::new()),
                    _ => Calls::These(words(value).map(str::to_owned).collect()),
                }
            }
            "balance" => {
                self.balance = match value {
                    "all" => true,
                    "primary" => false,
                    _ => return Err("all or primary"),
                }
            }
            "waypoints" => {
                let count = value.parse().ok().filter(|count| (1..=2).contains(count));
                self.waypoints = Some(count.ok_or("1 or 2")?);
            }
            "publish" => {
                self.publish = match value {
                    "waypoint" => true,
                    "service" => false,
                    _ => return Err("waypoint or service"),
                }
            }
            "move-labels" => {
                self.move_labels = match value {
                    "proxy" => true,
                    "none" => false,
                    _ => return Err("proxy or none"),
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// The keys of an `x-mesh` with their values as text; elements of a list are separated by commas.
fn entries(x_mesh: &Value) -> Result<BTreeMap<String, String>, String> {
    let entries = match x_mesh {
        Value::Null => return Ok(BTreeMap::new()),
        Value::Object(entries) => entries,
        other => return Err(format!("x-mesh: expected a map, found {}", short(other))),
    };
    let of = |(key, value): (&String, &Value)| {
        let value = match value {
            Value::Array(elements) => elements
                .iter()
                .map(text)
                .collect::<Option<Vec<_>>>()
                .map(|texts| texts.join(",")),
            other => text(other),
        };
        let value =
            value.ok_or_else(|| format!("x-mesh.{key}: expected a text, a number or a list of them"))?;
        Ok((key.clone(), value.trim().to_owned()))
    };
    entries.iter().map(of).collect()
}

/// A value for a message, which may be large.
fn short(value: &Value) -> String {
    let text: String = value.to_string().chars().take(40).collect();
    text.replace(char::is_control, " ")
}

fn unknown(before: &str, key: &str) -> String {
    let short = key.len() <= LONG;
    let near = KEYS
        .into_iter()
        .filter(|_| short)
        .map(|known| (strsim::damerau_levenshtein(known, key), known))
        .min()
        .filter(|(edits, _)| *edits <= NEAR)
        .map_or(String::new(), |(_, known)| {
            format!("{before}{known} is the nearest; ")
        });
    format!(
        "{before}{key}: there is no such setting; {near}there are {}",
        KEYS.join(", ")
    )
}

fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split([',', ' ']).filter(|word| !word.is_empty())
}

fn check(value: &str) -> Result<Check, &'static str> {
    match value {
        "tcp" => Ok(Check::Tcp),
        "passive" => Ok(Check::Passive),
        _ => {
            let path = value.strip_prefix("http ").map(str::trim);
            let path =
                path.filter(|path| path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()));
            let path = path.ok_or("tcp, passive, or http with a path, such as `http /healthz`")?;
            Ok(Check::Http(path.to_owned()))
        }
    }
}

fn milliseconds(value: &str) -> Result<u64, &'static str> {
    let time = value.parse().ok().filter(|time| *time <= LONGEST);
    time.ok_or("a time in milliseconds, at most 86400000")
}

#[cfg(test)]
mod tests;
