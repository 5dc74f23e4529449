//! What a waypoint does to get what it is told. Pure.
//!
//! Each port has a server group, a set of groups, and, while it is open, a listener, all named `HOST:PORT`. What there is is
//! read back from the control plane, so that a successor of a restart goes on with what it was handed.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::config::{Config, Port};
use crate::balance::Protocol;

/// Checks of endpoints: one that does not answer any more is out within 1.8 s, because the second check waits twice as long;
/// one that is back is noticed within 0.5 s.
const CHECKS: &str = "timeout 400 period 500 up 1 down 2";

/// Time without a usable endpoint for which a port stays open at least, so that one failed connection does not close it.
const MIN_OPEN: Duration = Duration::from_secs(1);

/// What the control plane has of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Present {
    /// How its endpoints are checked, as in commands.
    pub(super) check: String,
    /// The settings of its listener; `None` while it is closed.
    pub(super) open: Option<Listening>,
}

/// The settings of an open port. Times are in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listening {
    pub(super) hold: u64,
    pub(super) idle_timeout: u64,
    pub(super) protocol: Protocol,
}

impl Listening {
    fn of(port: &Port) -> Self {
        Self {
            hold: port.hold,
            idle_timeout: port.idle_timeout,
            protocol: port.protocol,
        }
    }
}

impl fmt::Display for Listening {
    /// As in commands.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            hold,
            idle_timeout,
            protocol,
        } = self;
        write!(f, "hold {hold} idle-timeout {idle_timeout} protocol {protocol}")
    }
}

/// The ports that the control plane has, by name.
pub(super) type Ports = BTreeMap<String, Present>;

/// The name of a port's parts.
pub(super) fn name(host: &str, port: u16) -> String {
    format!("{host}:{port}")
}

/// The commands that make the configuration of what there is: ports that are gone are removed, new ones are added closed,
/// changed ones are updated.
pub(super) fn commands(wanted: &Config, present: &Ports) -> Vec<String> {
    let ports = wanted
        .ports
        .iter()
        .map(|port| (name(&wanted.host, port.port), port));
    let ports: BTreeMap<String, &Port> = ports.collect();
    let mut commands = Vec::new();
    for gone in present.keys().filter(|name| !ports.contains_key(*name)) {
        // The set of groups takes the listener and the attachment along.
        commands.push(format!("remove server-groups {gone} cascade"));
        commands.push(format!("remove server-group {gone}"));
    }
    for (name, port) in ports {
        let check = port.check.kind().to_string();
        let Some(present) = present.get(&name) else {
            let resolve = format!("resolve {} port {}", wanted.host, port.port);
            commands.push(format!(
                "add server-group {name} {CHECKS} method wrr check {check} {resolve}"
            ));
            commands.push(format!("add server-groups {name}"));
            commands.push(format!("add server-group {name} to server-groups {name}"));
            continue;
        };
        if present.check != check {
            commands.push(format!("update server-group {name} check {check}"));
        }
        let wanted = Listening::of(port);
        if present.open.is_some_and(|open| open != wanted) {
            commands.push(format!("update tcp-lb {name} {wanted}"));
        }
    }
    commands
}

/// The command that opens a port at an address.
pub(super) fn open(name: &str, ip: IpAddr, port: &Port) -> String {
    let address = std::net::SocketAddr::new(ip, port.port);
    let settings = Listening::of(port);
    format!("add tcp-lb {name} address {address} server-groups {name} {settings}")
}

/// The command that closes a port.
pub(super) fn close(name: &str) -> String {
    format!("remove tcp-lb {name}")
}

/// What to do with a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Open,
    Close,
    /// Nothing before its endpoints change or this time comes, if one is given.
    Stay(Option<Instant>),
}

/// Decides when a port is open: from when an endpoint has accepted a connection, until none does for the time for which
/// connections wait.
#[derive(Debug, Default)]
pub(super) struct Gate {
    unusable_since: Option<Instant>,
}

impl Gate {
    /// What to do with a port now.
    pub(super) fn step(&mut self, is_open: bool, usable: bool, hold: Duration, now: Instant) -> Step {
        if usable {
            self.unusable_since = None;
            return if is_open { Step::Stay(None) } else { Step::Open };
        }
        let closes = *self.unusable_since.get_or_insert(now) + hold.max(MIN_OPEN);
        match is_open {
            true if closes <= now => Step::Close,
            true => Step::Stay(Some(closes)),
            false => Step::Stay(None),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::waypoint::Check;

    /// Applies commands to what there is, as the control plane does.
    fn apply(commands: &[String], present: &mut Ports) {
        for command in commands {
            let command_words: Vec<&str> = command.split(' ').collect();
            let after = |word: &str| {
                let at = command_words.iter().position(|it| *it == word).unwrap();
                command_words[at + 1]
            };
            let check = || {
                let value = after("check");
                let rest = command.split(" check ").nth(1).unwrap();
                match value {
                    "http" => rest.split(' ').take(2).collect::<Vec<_>>().join(" "),
                    other => other.to_owned(),
                }
            };
            let settings = || Listening {
                hold: after("hold").parse().unwrap(),
                idle_timeout: after("idle-timeout").parse().unwrap(),
                protocol: after("protocol").parse().unwrap(),
            };
            match command_words[..3] {
                ["add", "server-group", name] if command.contains(" resolve ") => {
                    let added = Present {
                        check: check(),
                        open: None,
                    };
                    assert!(present.insert(name.to_owned(), added).is_none(), "{command}");
                }
                ["add", "server-group" | "server-groups", name] => assert!(present.contains_key(name)),
                ["add", "tcp-lb", name] => present.get_mut(name).unwrap().open = Some(settings()),
                ["update", "server-group", name] => present.get_mut(name).unwrap().check = check(),
                ["update", "tcp-lb", name] => {
                    let open = &mut present.get_mut(name).unwrap().open;
                    assert!(open.is_some(), "{command}");
                    *open = Some(settings());
                }
                ["remove", "server-groups", name] => present.get_mut(name).unwrap().open = None,
                ["remove", "server-group", name] => drop(present.remove(name).unwrap()),
                _ => panic!("{command}"),
            }
            let parsed = command.parse::<crate::control::Command>();
            assert!(parsed.is_ok(), "{command}: {parsed:?}");
        }
    }

    fn config() -> impl Strategy<Value = Config> {
        let check = select(vec![Check::Tcp, Check::Passive, Check::Http("/x".to_owned())]);
        let protocol = select(vec![Protocol::Tcp, Protocol::Http1, Protocol::H2, Protocol::Http]);
        let port = (protocol, 0_u64..3, 0_u64..2, check);
        let ports = prop::collection::btree_map(select(vec![80_u16, 81, 82, 83]), port, 0..4);
        (select(vec!["api", "db"]), ports).prop_map(|(host, ports)| Config {
            host: host.to_owned(),
            ports: ports
                .into_iter()
                .map(|(port, (protocol, hold, idle_timeout, check))| Port {
                    port,
                    protocol,
                    hold,
                    idle_timeout,
                    check,
                })
                .collect(),
        })
    }

    proptest! {
        /// Whatever was there before and whichever ports were open, the commands lead to what is wanted, and then there is
        /// nothing left to do.
        #[test]
        fn the_commands_lead_to_what_is_wanted(configs in prop::collection::vec((config(), any::<u8>()), 1..6)) {
            let mut present = Ports::new();
            for (wanted, opened) in configs {
                apply(&commands(&wanted, &present), &mut present);
                let names: Vec<String> = wanted.ports.iter().map(|port| name(&wanted.host, port.port)).collect();
                prop_assert!(present.len() == names.len() && names.iter().all(|name| present.contains_key(name)));
                for (index, port) in wanted.ports.iter().enumerate() {
                    let there = &present[&names[index]];
                    prop_assert_eq!(&there.check, &port.check.kind().to_string());
                    prop_assert!(there.open.is_none_or(|open| open == Listening::of(port)));
                    if opened & (1 << index) != 0 && there.open.is_none() {
                        apply(&[open(&names[index], "::".parse().unwrap(), port)], &mut present);
                    }
                }
                prop_assert_eq!(commands(&wanted, &present), Vec::<String>::new());
            }
        }

        /// A port is open only if an endpoint was usable within the hold, and always while one is.
        #[test]
        fn a_port_follows_its_endpoints(steps in prop::collection::vec((any::<bool>(), 1_u64..4_000), 1..60),
                                        hold in 0_u64..8_000) {
            let (mut gate, mut now) = (Gate::default(), Instant::now());
            let hold = Duration::from_millis(hold);
            let (mut is_open, mut last_usable) = (false, None);
            for (usable, millis) in steps {
                now += Duration::from_millis(millis);
                match gate.step(is_open, usable, hold, now) {
                    Step::Open => is_open = true,
                    Step::Close => is_open = false,
                    Step::Stay(_) => {}
                }
                if usable {
                    last_usable = Some(now);
                    prop_assert!(is_open);
                }
                prop_assert!(!is_open || last_usable.is_some());
            }
        }
    }

    #[test]
    fn a_port_closes_when_its_hold_has_expired() {
        let begin = Instant::now();
        let hold = Duration::from_secs(10);
        let mut gate = Gate::default();
        assert_eq!(gate.step(false, false, hold, begin), Step::Stay(None));
        assert_eq!(gate.step(false, true, hold, begin), Step::Open);
        assert_eq!(gate.step(true, true, hold, begin), Step::Stay(None));
        let closes = begin + hold;
        assert_eq!(gate.step(true, false, hold, begin), Step::Stay(Some(closes)));
        let just_before = closes - Duration::from_millis(1);
        assert_eq!(
            gate.step(true, false, hold, just_before),
            Step::Stay(Some(closes))
        );
        assert_eq!(gate.step(true, false, hold, closes), Step::Close);
        assert_eq!(gate.step(false, false, hold, closes + hold), Step::Stay(None));
        assert_eq!(gate.step(false, true, hold, closes + hold), Step::Open);
    }
}
