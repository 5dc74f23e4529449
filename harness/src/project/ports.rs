//! The ports that a Compose file declares.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

use serde_json::Value;

use super::app_protocol::AppProtocol;
use super::value::{field, list, text};

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP, SCTP: not relayed.
    Other,
}

/// A port of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// Its protocol.
    pub protocol: Protocol,
}

/// A port of the host that a service publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The host's port or range, as text.
    pub host: String,
    /// The container's port.
    pub target: u16,
}

impl Published {
    /// Whether only one container can have it. A range has room for several.
    pub fn fixed(&self) -> bool {
        !self.host.contains('-') && self.host != "0"
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.target)
    }
}

impl Port {
    /// Reads `NUMBER[/PROTOCOL]`, as images declare it.
    pub fn parse(text: &str) -> Option<Self> {
        let ports = range(text)?;
        let (first, protocol) = (*ports.0.start(), ports.1);
        (first == *ports.0.end()).then_some(Self {
            number: first,
            protocol,
        })
    }
}

/// What `expose` and `ports` declare.
#[derive(Debug, Default)]
pub(super) struct Declared {
    /// The ports of both.
    pub(super) all: BTreeSet<Port>,
    /// Those that are published on ports of the host.
    pub(super) published: Vec<Published>,
    /// What `app_protocol` says of them.
    pub(super) app_protocols: BTreeMap<u16, AppProtocol>,
}

/// The ports that a service declares.
pub(super) fn ports(service: &Value) -> Result<Declared, String> {
    let Declared {
        mut all,
        mut published,
        mut app_protocols,
    } = Declared::default();
    let mut add = |(numbers, protocol): Range| {
        all.extend(numbers.map(|number| Port { number, protocol }));
    };
    for exposed in list(service, "expose")? {
        let exposed = text(exposed).unwrap_or_default();
        add(range(&exposed).ok_or_else(|| format!("expose: `{exposed}`: expected PORT[-PORT][/PROTOCOL]"))?);
    }
    for port in list(service, "ports")? {
        let wrong = || format!("ports: `{port}`: expected [[HOST:]PORT:]PORT[/PROTOCOL] or its long form");
        let (host, target) = match text(port) {
            Some(short) => {
                let (host, target) = short.rsplit_once(':').unwrap_or(("", &short));
                // Before the host's port may stand its address, which may be one of IPv6 in brackets.
                let host = host.rsplit(':').next().unwrap_or_default();
                (host.to_owned(), target.to_owned())
            }
            None => {
                let part = |key| field(port, key).and_then(text);
                let protocol = part("protocol").unwrap_or_else(|| "tcp".to_owned());
                let target = part("target").ok_or_else(wrong)?;
                (
                    part("published").unwrap_or_default(),
                    format!("{target}/{protocol}"),
                )
            }
        };
        let target = range(&target).ok_or_else(wrong)?;
        if !host.is_empty() {
            published.push(Published {
                host,
                target: *target.0.start(),
            });
        }
        let app_protocol = field(port, "app_protocol").and_then(text);
        if let Some(protocol) = app_protocol.filter(|_| target.1 == Protocol::Tcp) {
            let protocol = AppProtocol::declared(&protocol);
            app_protocols.extend(target.0.clone().map(|number| (number, protocol)));
        }
        add(target);
    }
    Ok(Declared {
        all,
        published,
        app_protocols,
    })
}

type Range = (RangeInclusive<u16>, Protocol);

/// Reads `PORT[-PORT][/PROTOCOL]`.
fn range(text: &str) -> Option<Range> {
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let protocol = if protocol.eq_ignore_ascii_case("tcp") {
        Protocol::Tcp
    } else {
        Protocol::Other
    };
    (0 < first && first <= last).then_some((first..=last, protocol))
}
