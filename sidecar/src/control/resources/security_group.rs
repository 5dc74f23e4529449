//! `security-group`: decides which clients a listener serves.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::args::{Args, Words};
use super::security_group_rule::{self, SecurityGroupRule};
use super::spec::{Key, Spec, TOP};
use super::{Api, Apply, Change, Configured, Id, Listing, Parent, Read, Resource};
use crate::control::error::CommandError;
use crate::control::running::ListenerHandle;
use crate::control::values::{ALLOW_ALL, json};
use crate::proxy::access::{Rule, SecurityGroup as Running, Verdict};

pub(super) const SPEC: Spec = Spec {
    word: "security-group",
    short: Some("secg"),
    help: "decides which clients a listener serves",
    within: TOP,
    keys: &[
        Key::required::<Verdict>("default", "allow or deny, for clients that no rule matches")
            .field("defaultRule")
            .updatable(),
    ],
    foreign: &[],
};

/// `add security-group NAME default allow|deny`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Add {
    #[serde(deserialize_with = "json")]
    pub(super) name: String,
    #[serde(rename = "defaultRule", deserialize_with = "json")]
    pub(super) default: Verdict,
}

/// `update security-group NAME default allow|deny`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Update {
    #[serde(deserialize_with = "json")]
    pub(super) name: String,
    #[serde(rename = "defaultRule", deserialize_with = "json")]
    pub(super) default: Verdict,
}

impl Add {
    pub(super) fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {
            name: args.name()?,
            default: args.required("default")?,
        })
    }
}

impl Configured for Add {
    fn id(&self) -> Id {
        Id::new(Resource::SecurityGroup, &self.name)
    }

    fn write(&self, words: &mut Words) {
        words.key("default", &self.default);
    }

    fn start(&self, at: &mut Apply<'_>) -> Result<(), CommandError> {
        let group = Running::new(security_group_rule::policy(at.config, &self.name, self.default));
        at.running.security_groups.insert(self.name.clone(), group);
        Ok(())
    }

    fn stop(&self, at: &mut Apply<'_>) -> Result<Option<Arc<ListenerHandle>>, CommandError> {
        at.running.security_groups.remove(&self.name);
        Ok(None)
    }
}

impl Update {
    pub(super) fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {
            name: args.name()?,
            default: args.required("default")?,
        })
    }
}

impl Change for Update {
    fn id(&self) -> Id {
        Id::new(Resource::SecurityGroup, &self.name)
    }

    fn write(&self, words: &mut Words) {
        words.key("default", &self.default);
    }

    fn change(&self, add: &mut super::Add) {
        if let super::Add::SecurityGroup(group) = add {
            group.default = self.default;
        }
    }

    fn apply(&self, at: &mut Apply<'_>) -> Result<(), CommandError> {
        security_group_rule::refresh(at, &self.name);
        Ok(())
    }
}

/// A security group.
#[derive(Debug, Clone)]
pub struct SecurityGroupView {
    /// Its name.
    pub name: String,
    /// For clients that no rule matches.
    pub default: Verdict,
    /// Its rules by name, in order.
    pub rules: Vec<(String, Rule)>,
}

pub(in crate::control) fn views(read: &Read<'_>) -> Vec<SecurityGroupView> {
    let groups = read.config.all(Resource::SecurityGroup);
    let views = groups.filter_map(|add| match add {
        super::Add::SecurityGroup(Add { name, default }) => Some(SecurityGroupView {
            name: name.clone(),
            default: *default,
            rules: security_group_rule::of(read.config, name)
                .map(|add| (add.name.clone(), add.rule()))
                .collect(),
        }),
        _ => None,
    });
    views.collect()
}

pub(super) fn list(read: &Read<'_>, _: &[Parent], detail: bool) -> Result<Listing, CommandError> {
    let views = views(read).into_iter();
    let rows = views.map(|view| (view.name, format!("default {}", view.default)));
    Ok(Listing::of(rows, detail))
}

pub(super) fn api() -> Api {
    Api::module(
        |read, _| {
            let short = |view: SecurityGroupView| SecurityGroup {
                name: view.name,
                default_rule: view.default.to_string(),
            };
            Ok(views(read).into_iter().map(short).collect())
        },
        |read, _| Ok(views(read).into_iter().map(SecurityGroupDetail::from).collect()),
    )
}

/// A security group.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SecurityGroup {
    /// Its name.
    name: String,
    /// Whether clients are served that no rule matches: allow or deny.
    default_rule: String,
}

/// A security group, in detail.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SecurityGroupDetail {
    /// Its name.
    name: String,
    /// Whether clients are served that no rule matches: allow or deny.
    default_rule: String,
    /// Its rules, in order.
    rule_list: Vec<SecurityGroupRule>,
}

impl From<SecurityGroupView> for SecurityGroupDetail {
    fn from(view: SecurityGroupView) -> Self {
        Self {
            name: view.name,
            default_rule: view.default.to_string(),
            rule_list: view.rules.into_iter().map(SecurityGroupRule::from).collect(),
        }
    }
}

/// The group of that name; without a name, what stands for none.
pub(super) fn detail_of(read: &Read<'_>, name: Option<&str>) -> SecurityGroupDetail {
    let named = name.and_then(|name| views(read).into_iter().find(|view| view.name == name));
    let all = || SecurityGroupView {
        name: ALLOW_ALL.to_owned(),
        default: Verdict::Allow,
        rules: Vec::new(),
    };
    named.unwrap_or_else(all).into()
}
