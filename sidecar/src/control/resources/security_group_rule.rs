//! `security-group-rule`: one rule of a security group.

use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::args::{Args, Words};
use super::spec::{Field, Key, Spec};
use super::{Api, Apply, Config, Configured, Id, Listing, Parent, Read, Resource, Unchangeable, parent_name};
use crate::control::error::CommandError;
use crate::control::running::ListenerHandle;
use crate::control::values::{PortRange, json};
use crate::proxy::access::{Policy, Protocol, Rule, Verdict};

pub(super) const SPEC: Spec = Spec {
    word: "security-group-rule",
    short: Some("secgr"),
    help: "one rule of a security group",
    within: &[&[Resource::SecurityGroup]],
    keys: &[
        Key::required::<IpNet>("network", "the clients that the rule matches, as ADDRESS/BITS")
            .short("net")
            .field("clientNetwork"),
        Key::required::<Protocol>("protocol", "TCP or UDP; no listener here is UDP"),
        Key::required::<PortRange>("port-range", "").fields(
            Field::new::<u16>(
                "serverPortMin",
                "the first of the listeners' ports that the rule matches",
            )
            .sample(1),
            Field::new::<u16>("serverPortMax", "the last of them").sample(65535),
        ),
        Key::required::<Verdict>("default", "allow or deny").field("rule"),
    ],
    foreign: &[],
};

/// `add security-group-rule NAME to security-group NAME network .. protocol .. port-range .. default ..`
///
/// Adds the rule after the existing ones.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Add {
    #[serde(deserialize_with = "json")]
    pub(super) name: String,
    /// The group that it joins.
    #[serde(rename = "in")]
    pub(super) group: String,
    #[serde(deserialize_with = "json")]
    pub(super) client_network: IpNet,
    #[serde(deserialize_with = "json")]
    pub(super) protocol: Protocol,
    #[serde(deserialize_with = "json")]
    pub(super) server_port_min: u16,
    #[serde(deserialize_with = "json")]
    pub(super) server_port_max: u16,
    #[serde(rename = "rule", deserialize_with = "json")]
    pub(super) verdict: Verdict,
}

pub(super) type Update = Unchangeable;

impl Add {
    pub(super) fn parse(args: &mut Args) -> Result<Self, CommandError> {
        let (name, group) = (args.name()?, args.parent());
        let (client_network, protocol) = (args.required("network")?, args.required("protocol")?);
        let PortRange(server_port_min, server_port_max) = args.required("port-range")?;
        Ok(Self {
            name,
            group,
            client_network,
            protocol,
            server_port_min,
            server_port_max,
            verdict: args.required("default")?,
        })
    }

    pub(super) fn rule(&self) -> Rule {
        Rule {
            network: self.client_network,
            protocol: self.protocol,
            ports: (self.server_port_min, self.server_port_max),
            verdict: self.verdict,
        }
    }
}

impl Configured for Add {
    fn id(&self) -> Id {
        Id::new(Resource::SecurityGroupRule, &self.name).within(&self.group)
    }

    /// In words, the two ports are one value; in JSON, nothing else keeps them in order.
    fn check(&self, _: &Config) -> Result<(), CommandError> {
        let (min, max) = (self.server_port_min, self.server_port_max);
        match min <= max {
            true => Ok(()),
            false => Err(CommandError::invalid(
                max.to_string(),
                format!("serverPortMax {max} is not valid; expected at least serverPortMin, {min}"),
            )),
        }
    }

    fn write(&self, words: &mut Words) {
        words
            .key("network", &self.client_network)
            .key("protocol", &self.protocol)
            .key(
                "port-range",
                &PortRange(self.server_port_min, self.server_port_max),
            )
            .key("default", &self.verdict);
    }

    fn start(&self, at: &mut Apply<'_>) -> Result<(), CommandError> {
        refresh(at, &self.group);
        Ok(())
    }

    fn stop(&self, at: &mut Apply<'_>) -> Result<Option<Arc<ListenerHandle>>, CommandError> {
        refresh(at, &self.group);
        Ok(None)
    }
}

/// The rules of a group, in order.
pub(super) fn of<'a>(config: &'a Config, group: &str) -> impl Iterator<Item = &'a Add> {
    let rules = config.within(Resource::SecurityGroupRule, group);
    rules.filter_map(|add| match add {
        super::Add::SecurityGroupRule(rule) => Some(rule),
        _ => None,
    })
}

/// The policy of a group, with its rules in order.
pub(super) fn policy(config: &Config, name: &str, default: Verdict) -> Policy {
    let rules = of(config, name).map(|add| add.rule());
    Policy {
        default,
        rules: rules.collect(),
    }
}

/// Gives the running group the policy that is configured, for new connections.
pub(super) fn refresh(at: &Apply<'_>, name: &str) {
    let configured = at.config.get(&Id::new(Resource::SecurityGroup, name));
    if let (Some(group), Some(super::Add::SecurityGroup(add))) =
        (at.running.security_groups.get(name), configured)
    {
        group.set(policy(at.config, name, add.default));
    }
}

fn existing<'a>(read: &Read<'a>, group: &str) -> Result<Vec<&'a Add>, CommandError> {
    read.config.require(&Id::new(Resource::SecurityGroup, group))?;
    Ok(of(read.config, group).collect())
}

pub(super) fn list(read: &Read<'_>, parents: &[Parent], detail: bool) -> Result<Listing, CommandError> {
    let rows = existing(read, parent_name(parents))?.into_iter().map(|add| {
        let Rule {
            network,
            protocol,
            ports: (first, last),
            verdict,
        } = add.rule();
        let about = format!("{verdict} {network} protocol {protocol} port [{first},{last}]");
        (add.name.clone(), about)
    });
    Ok(Listing::of(rows, detail))
}

pub(super) fn api() -> Api {
    fn all(read: &Read<'_>, group: &str) -> Result<Vec<SecurityGroupRule>, CommandError> {
        let rules = existing(read, group)?.into_iter();
        let shown = rules.map(|add| (add.name.clone(), add.rule()).into());
        Ok(shown.collect())
    }
    Api::module(all, all)
}

/// A rule of a security group.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SecurityGroupRule {
    /// Its name within the group.
    name: String,
    /// The clients that it matches.
    client_network: String,
    /// TCP or UDP.
    protocol: String,
    /// The first of the listeners' ports that it matches.
    #[cfg_attr(test, schema(maximum = 65535))]
    server_port_min: u16,
    /// The last of them.
    #[cfg_attr(test, schema(maximum = 65535))]
    server_port_max: u16,
    /// Whether these clients are served there: allow or deny.
    rule: String,
}

impl From<(String, Rule)> for SecurityGroupRule {
    fn from((name, rule): (String, Rule)) -> Self {
        Self {
            name,
            client_network: rule.network.to_string(),
            protocol: rule.protocol.to_string(),
            server_port_min: rule.ports.0,
            server_port_max: rule.ports.1,
            rule: rule.verdict.to_string(),
        }
    }
}
