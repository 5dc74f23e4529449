//! `security-group` and `security-group-rule`.

use super::Found;
use crate::control::controller::Controller;
use crate::control::error::CommandError;
use crate::control::grammar::Resource;
use crate::control::http::shape::shapes;
use crate::control::values::ALLOW_ALL;
use crate::control::view::SecurityGroupView;
use crate::proxy::access::{Rule, Verdict};

shapes! {
    /// A security group.
    struct SecurityGroup {
        /// Its name.
        name: String,
        /// Whether clients are served that no rule is about: allow or deny.
        default_rule: String,
    }

    /// A security group, in detail.
    struct SecurityGroupDetail {
        /// Its name.
        name: String,
        /// Whether clients are served that no rule is about: allow or deny.
        default_rule: String,
        /// Its rules, in order.
        rule_list: Vec<SecurityGroupRule>,
    }

    /// A rule of a security group.
    struct SecurityGroupRule {
        /// Its name within the group.
        name: String,
        /// The clients that it is about.
        client_network: String,
        /// TCP or UDP.
        protocol: String,
        /// The first of the listeners' ports that it is about.
        server_port_min: u16,
        /// The last of them.
        server_port_max: u16,
        /// Whether these clients are served there: allow or deny.
        rule: String,
    }
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
pub(super) fn guard(controller: &Controller, name: Option<&str>) -> SecurityGroupDetail {
    let named = |name| {
        let groups = controller.security_groups();
        groups.into_iter().find(|group| group.name == name)
    };
    let all = || SecurityGroupView {
        name: ALLOW_ALL.to_owned(),
        default: Verdict::Allow,
        rules: Vec::new(),
    };
    name.and_then(|n: &str| named(n.to_owned()))
        .unwrap_or_else(all)
        .into()
}

pub(in crate::control::http) fn security_groups(
    controller: &Controller,
    _: &str,
) -> Found<Vec<SecurityGroup>> {
    let groups = controller.security_groups().into_iter();
    let short = |group: SecurityGroupView| SecurityGroup {
        name: group.name,
        default_rule: group.default.to_string(),
    };
    Ok(groups.map(short).collect())
}

pub(in crate::control::http) fn security_groups_in_detail(
    controller: &Controller,
    _: &str,
) -> Found<Vec<SecurityGroupDetail>> {
    let groups = controller.security_groups().into_iter();
    Ok(groups.map(SecurityGroupDetail::from).collect())
}

pub(in crate::control::http) fn rules(controller: &Controller, group: &str) -> Found<Vec<SecurityGroupRule>> {
    let found = controller.security_groups().into_iter().find(|g| g.name == group);
    let found = found.ok_or_else(|| CommandError::not_found(Resource::SecurityGroup, group))?;
    Ok(SecurityGroupDetail::from(found).rule_list)
}
