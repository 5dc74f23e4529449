//! Security groups: which clients a listener serves. Pure.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use ipnet::IpNet;

/// A security group's decision on a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is served.
    Allow,
    /// It is not served: its connection is reset as soon as it is accepted.
    Deny,
}

/// The protocol of a rule. All listeners are TCP: a rule for UDP is kept and never matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A rule: clients of a network, at a range of listening ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The clients' network.
    pub network: IpNet,
    /// The protocol.
    pub protocol: Protocol,
    /// The first and the last port.
    pub ports: (u16, u16),
    /// Whether these clients are served.
    pub verdict: Verdict,
}

/// Rules in order: the first one that matches decides, otherwise the default. Shared by listeners and changed in
/// place.
#[derive(Debug)]
pub struct SecurityGroup {
    policy: RwLock<Policy>,
}

/// The rules of a security group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The verdict for clients that no rule matches.
    pub default: Verdict,
    /// The rules, in order.
    pub rules: Vec<Rule>,
}

impl Rule {
    fn matches(&self, client: IpAddr, port: u16) -> bool {
        let (first, last) = self.ports;
        self.protocol == Protocol::Tcp
            && (first..=last).contains(&port)
            && self.network.contains(&client.to_canonical())
    }
}

impl Policy {
    /// Whether a client is served at a port.
    #[must_use]
    pub fn verdict(&self, client: IpAddr, port: u16) -> Verdict {
        self.rules
            .iter()
            .find(|r| r.matches(client, port))
            .map_or(self.default, |r| r.verdict)
    }
}

impl SecurityGroup {
    /// A group with this policy.
    #[must_use]
    pub fn new(policy: Policy) -> Arc<Self> {
        Arc::new(Self {
            policy: RwLock::new(policy),
        })
    }

    /// Replaces the policy for new connections.
    pub fn set(&self, policy: Policy) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    /// Whether a client is served at a port.
    #[must_use]
    pub fn verdict(&self, client: IpAddr, port: u16) -> Verdict {
        self.policy
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .verdict(client, port)
    }
}

impl FromStr for Verdict {
    type Err = ();

    fn from_str(s: &str) -> Result<Self, ()> {
        match s {
            "allow" => Ok(Self::Allow),
            "deny" => Ok(Self::Deny),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        })
    }
}

impl FromStr for Protocol {
    type Err = ();

    fn from_str(s: &str) -> Result<Self, ()> {
        match s {
            "TCP" | "tcp" => Ok(Self::Tcp),
            "UDP" | "udp" => Ok(Self::Udp),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(network: &str, ports: (u16, u16), verdict: Verdict) -> Rule {
        Rule {
            network: network.parse().unwrap(),
            protocol: Protocol::Tcp,
            ports,
            verdict,
        }
    }

    fn verdict(policy: &Policy, client: &str, port: u16) -> Verdict {
        policy.verdict(client.parse().unwrap(), port)
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let policy = Policy {
            default: Verdict::Deny,
            rules: vec![
                rule("10.1.0.0/16", (80, 90), Verdict::Deny),
                rule("10.0.0.0/8", (1, 65535), Verdict::Allow),
                rule("fd00::/8", (1, 65535), Verdict::Allow),
            ],
        };
        for (client, port, expected) in [
            ("10.1.2.3", 80, Verdict::Deny),
            ("10.1.2.3", 90, Verdict::Deny),
            ("10.1.2.3", 91, Verdict::Allow),
            ("10.2.2.3", 80, Verdict::Allow),
            ("::ffff:10.2.2.3", 80, Verdict::Allow),
            ("fd01::1", 80, Verdict::Allow),
            ("192.168.0.1", 80, Verdict::Deny),
        ] {
            assert_eq!(verdict(&policy, client, port), expected, "{client} at {port}");
        }
    }

    #[test]
    fn a_rule_for_udp_never_matches() {
        let mut udp = rule("0.0.0.0/0", (1, 65535), Verdict::Deny);
        udp.protocol = Protocol::Udp;
        let policy = Policy {
            default: Verdict::Allow,
            rules: vec![udp],
        };
        assert_eq!(verdict(&policy, "10.0.0.1", 80), Verdict::Allow);
    }

    #[test]
    fn a_new_policy_applies_at_once() {
        let group = SecurityGroup::new(Policy {
            default: Verdict::Allow,
            rules: Vec::new(),
        });
        let client = "10.0.0.1".parse().unwrap();
        assert_eq!(group.verdict(client, 80), Verdict::Allow);
        group.set(Policy {
            default: Verdict::Deny,
            rules: Vec::new(),
        });
        assert_eq!(group.verdict(client, 80), Verdict::Deny);
    }
}
