//! The labels `mesh.*` of a service, by which its file adjusts its waypoint and its calls.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// Prefix of the labels that are read.
const PREFIX: &str = "mesh.";
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
}

impl Settings {
    /// Reads a service's labels; those that do not begin with `mesh.` are others'.
    ///
    /// # Errors
    /// A label is unknown, or has a value that it cannot have.
    pub fn read(labels: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut settings = Self::default();
        for (label, value) in labels {
            let Some(name) = label.strip_prefix(PREFIX) else {
                continue;
            };
            settings
                .set(name, value.trim())
                .map_err(|expected| format!("label {label}: `{value}`: expected {expected}"))?;
        }
        Ok(settings)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        match name {
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
            _ => {
                return Err(
                    "one of the labels mesh.balance, mesh.calls, mesh.check, mesh.hold, mesh.idle-timeout, \
                            mesh.ports, mesh.waypoint and mesh.waypoints",
                );
            }
        }
        Ok(())
    }
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
mod tests {
    use super::*;

    fn read(label: &str, value: &str) -> Result<Settings, String> {
        Settings::read(&BTreeMap::from([(label.to_owned(), value.to_owned())]))
    }

    #[test]
    fn each_label_sets_its_setting() {
        assert!(read("mesh.waypoint", "none").unwrap().no_waypoint);
        assert_eq!(
            read("mesh.ports", "80, 443").unwrap().ports,
            BTreeSet::from([80, 443])
        );
        let path = Check::Http("/healthz".to_owned());
        assert_eq!(read("mesh.check", "http /healthz").unwrap().check, Some(path));
        assert_eq!(read("mesh.hold", "0").unwrap().hold, Some(0));
        let none = Calls::These(BTreeSet::new());
        assert_eq!(read("mesh.calls", "none").unwrap().calls, none);
        assert_eq!(read("traefik.enable", "whatever").unwrap(), Settings::default());
    }

    #[test]
    fn a_wrong_label_is_named_with_what_is_expected() {
        for (label, value, expected) in [
            (
                "mesh.check",
                "http healthz",
                "label mesh.check: `http healthz`: expected tcp, passive",
            ),
            ("mesh.ports", "0", "ports separated by commas"),
            ("mesh.hold", "10s", "a time in milliseconds"),
            ("mesh.waypoint", "off", "expected none or auto"),
            (
                "mesh.hodl",
                "1",
                "label mesh.hodl: `1`: expected one of the labels",
            ),
        ] {
            let error = read(label, value).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
