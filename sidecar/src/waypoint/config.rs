//! What a waypoint is told: a host name and its ports, as JSON in a file or as `HOST:PORT[/PROTOCOL][,PORT[/PROTOCOL]...]`.
//!
//! ```json
//! {"host": "api", "ports": [
//!   {"port": 8080, "protocol": "http", "hold": 10000, "idle_timeout": 0, "check": {"http": "/healthz"}}
//! ]}
//! ```
//!
//! Times are in milliseconds. `check` is `"tcp"`, `"passive"` or `{"http": PATH}`; `protocol` is `"tcp"`, `"http/1.x"`, `"h2"`
//! or `"http"`. All keys of a port but `port` may be left out.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::balance::{CheckKind, Protocol};
use crate::resolve::HostPort;

/// Maximum number of ports: each is a listener, and is checked at each address.
const MAX_PORTS: usize = 256;

/// Longest time that a port may name: a day.
const MAX_TIME: Duration = Duration::from_secs(24 * 3600);

/// Default of [`Port::hold`].
pub const DEFAULT_HOLD: u64 = 10_000;

/// Where a waypoint's configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// From a file, which is read again every second.
    File(PathBuf),
    /// From the command line.
    Fixed(Config),
}

/// The host name whose addresses are balanced, and the ports.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The host name.
    pub host: String,
    /// The ports, each once.
    pub ports: Vec<Port>,
}

/// A port of the service, which the waypoint listens on as well.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Its number.
    pub port: u16,
    /// What its connections carry.
    #[serde(default, deserialize_with = "protocol")]
    pub protocol: Protocol,
    /// Time for which a connection waits while no endpoint takes it, in milliseconds.
    #[serde(default = "default_hold")]
    pub hold: u64,
    /// Time without a byte after which a connection is reset, in milliseconds; 0 resets none.
    #[serde(default)]
    pub idle_timeout: u64,
    /// How the endpoints are checked.
    #[serde(default)]
    pub check: Check,
}

/// How the endpoints of a port are checked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// A connection must be accepted.
    #[default]
    Tcp,
    /// The same, but only until it is, and after a client's connection failed.
    Passive,
    /// A GET of this path must be answered with 2xx or 3xx.
    Http(String),
}

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is not JSON of this form.
    #[error("{0}")]
    Form(String),
    /// A value cannot be used.
    #[error("{field} {found} is not valid; expected {expected}")]
    Value {
        /// The key.
        field: String,
        /// Its value.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
}

fn default_hold() -> u64 {
    DEFAULT_HOLD
}

fn protocol<'de, D: Deserializer<'de>>(value: D) -> Result<Protocol, D::Error> {
    String::deserialize(value)?
        .parse()
        .map_err(serde::de::Error::custom)
}

impl Check {
    /// As the control plane has it.
    pub(super) fn kind(&self) -> CheckKind {
        match self {
            Self::Tcp => CheckKind::Tcp,
            Self::Passive => CheckKind::Passive,
            Self::Http(path) => CheckKind::Http(Arc::from(path.as_str())),
        }
    }
}

impl FromStr for Check {
    type Err = &'static str;

    /// Reads `tcp`, `passive` or `http:PATH`.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let path = text.strip_prefix("http:");
        let path = path.filter(|path| format!("http {path}").parse::<CheckKind>().is_ok());
        match (text, path) {
            ("tcp", _) => Ok(Self::Tcp),
            ("passive", _) => Ok(Self::Passive),
            (_, Some(path)) => Ok(Self::Http(path.to_owned())),
            _ => Err("expected tcp, passive or http:PATH, for instance http:/healthz"),
        }
    }
}

impl Config {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// Names the key, what was found, and what is expected.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut json = serde_json::Deserializer::from_str(text);
        let config: Self = serde_path_to_error::deserialize(&mut json)
            .map_err(|error| ConfigError::Form(format!("{}: {}", error.path(), error.inner())))?;
        json.end().map_err(|error| ConfigError::Form(error.to_string()))?;
        config.checked()
    }

    /// Reads `HOST:PORT[/PROTOCOL][,PORT[/PROTOCOL]...]`; all else of the ports is like this one.
    ///
    /// # Errors
    /// Names what was found, and what is expected.
    pub fn of_target(target: &str, like: &Port) -> Result<Self, ConfigError> {
        let wrong = || ConfigError::Value {
            field: "target".to_owned(),
            found: target.to_owned(),
            expected: "the service's name, or HOST:PORT[/PROTOCOL][,PORT[/PROTOCOL]...], for instance api:8080/http,9090, \
                       with tcp, http/1.x, h2 or http as PROTOCOL",
        };
        let (host, ports) = target.rsplit_once(':').ok_or_else(wrong)?;
        let port = |text: &str| {
            let (port, protocol) = match text.split_once('/') {
                Some((port, protocol)) => (port, protocol.parse().ok()?),
                None => (text, like.protocol),
            };
            let port = port.parse().ok()?;
            Some(Port {
                port,
                protocol,
                ..like.clone()
            })
        };
        let ports: Option<Vec<Port>> = ports.split(',').map(port).collect();
        Self {
            host: host.to_owned(),
            ports: ports.ok_or_else(wrong)?,
        }
        .checked()
    }

    fn checked(self) -> Result<Self, ConfigError> {
        let wrong = |field: &str, found: &str, expected| ConfigError::Value {
            field: field.to_owned(),
            found: found.chars().take(80).collect(),
            expected,
        };
        if format!("{}:0", self.host).parse::<HostPort>().is_err() {
            return Err(wrong("host", &self.host, "a host name such as api"));
        }
        if self.ports.len() > MAX_PORTS {
            let found = format!("with {} elements", self.ports.len());
            return Err(wrong("ports", &found, "256 elements at most"));
        }
        let mut seen = BTreeSet::new();
        for (index, port) in self.ports.iter().enumerate() {
            let wrong = |name, found: String, expected| {
                Err(wrong(&format!("ports[{index}].{name}"), &found, expected))
            };
            if port.port == 0 || !seen.insert(port.port) {
                let found = port.port.to_string();
                return wrong("port", found, "a port from 1 to 65535 that is named once");
            }
            for (name, time) in [("hold", port.hold), ("idle_timeout", port.idle_timeout)] {
                if Duration::from_millis(time) > MAX_TIME {
                    return wrong(name, time.to_string(), "milliseconds from 0 to 86400000");
                }
            }
            let check = port.check.kind().to_string();
            if check.parse::<CheckKind>().is_err() {
                return wrong(
                    "check",
                    check,
                    "tcp, passive, or http with a path such as /healthz",
                );
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

    use proptest::prelude::*;

    use super::*;

    fn port(port: u16) -> Port {
        Port {
            port,
            protocol: Protocol::Tcp,
            hold: 10_000,
            idle_timeout: 0,
            check: Check::Tcp,
        }
    }

    #[test]
    fn a_file_is_read_with_its_defaults() {
        let text = r#"{"host": "api", "ports": [{"port": 8080}, {"port": 81, "hold": 0, "idle_timeout": 5,
                       "check": {"http": "/healthz"}, "protocol": "http"}, {"port": 82, "check": "passive"}]}"#;
        let config = Config::parse(text).unwrap();
        assert_eq!(config.host, "api");
        let second = Port {
            protocol: Protocol::Http,
            hold: 0,
            idle_timeout: 5,
            check: Check::Http("/healthz".to_owned()),
            ..port(81)
        };
        let third = Port {
            check: Check::Passive,
            ..port(82)
        };
        assert_eq!(config.ports, [port(8080), second, third]);
    }

    #[test]
    fn a_mistake_is_named() {
        for (text, complaint) in [
            (r#"{"host": "api"}"#, "missing field `ports`"),
            (r#"{"host": "api", "ports": [], "x": 1}"#, "unknown field `x`"),
            (
                r#"{"host": "api", "ports": [{"port": 1, "holds": 1}]}"#,
                "unknown field `holds`",
            ),
            (
                r#"{"host": "api", "ports": [{"port": 70000}]}"#,
                "ports[0].port: invalid value: integer `70000`",
            ),
            (
                r#"{"host": "api", "ports": [{"port": 0}]}"#,
                "ports[0].port 0 is not valid",
            ),
            (
                r#"{"host": "api", "ports": [{"port": 1}, {"port": 1}]}"#,
                "ports[1].port 1 is not valid",
            ),
            (
                r#"{"host": "a b", "ports": []}"#,
                "host a b is not valid; expected a host name",
            ),
            (
                r#"{"host": "api", "ports": [{"port": 1, "hold": 86400001}]}"#,
                "ports[0].hold 86400001 is not valid",
            ),
            (
                r#"{"host": "api", "ports": [{"port": 1, "check": {"http": "x"}}]}"#,
                "ports[0].check http x is not valid",
            ),
            (
                r#"{"host": "api", "ports": [{"port": 1, "check": "udp"}]}"#,
                "unknown variant `udp`",
            ),
            (
                r#"{"host": "api", "ports": [{"port": 1, "protocol": "https"}]}"#,
                "ports[0].protocol: `https` is not a protocol: expected tcp, http/1.x, h2 or http",
            ),
            (
                r#"{"host": "api", "ports": [{"port": 1, "protocol": 2}]}"#,
                "ports[0].protocol: invalid type: integer `2`",
            ),
            (r#"{"host": "api", "ports": []} x"#, "trailing characters"),
            ("", "EOF"),
        ] {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.contains(complaint), "{text}: {error}");
        }
    }

    #[test]
    fn a_target_names_a_host_and_ports() {
        let like = Port { hold: 7, ..port(1) };
        let config = Config::of_target("api.shop:8080,81", &like).unwrap();
        assert_eq!(config.host, "api.shop");
        let ports: Vec<_> = config.ports.iter().map(|port| (port.port, port.hold)).collect();
        assert_eq!(ports, [(8080, 7), (81, 7)]);
        let config = Config::of_target("api:1,2/http/1.x,3/h2,4/http,5/tcp", &like).unwrap();
        let protocols: Vec<_> = config
            .ports
            .iter()
            .map(|port| (port.port, port.protocol.as_str()))
            .collect();
        assert_eq!(
            protocols,
            [(1, "tcp"), (2, "http/1.x"), (3, "h2"), (4, "http"), (5, "tcp")]
        );
        for target in [
            "api",
            "api:",
            "api:x",
            "api:1,,2",
            ":80",
            "10.0.0.1:80",
            "api:1,1",
            "api:0",
            "api:1/",
            "api:1/https",
            "api:1/http/2",
            "api:1/http,1/h2",
            "api:http",
            "api:1/http:2",
        ] {
            assert!(Config::of_target(target, &like).is_err(), "{target}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,200}") {
            let _ = Config::parse(&text);
            let _ = Config::of_target(&text, &port(1));
        }
    }
}
