//! The commands that make a configuration.

use super::Model;
use crate::control::command::Add;

impl Model {
    /// Commands that, applied in order to an empty configuration, make this one.
    pub(in crate::control) fn commands(&self) -> Vec<Add> {
        let mut commands = Vec::new();
        for (name, group) in &self.groups {
            commands.push(Add::ServerGroup {
                name: name.clone(),
                spec: group.spec,
            });
            commands.extend(group.servers.iter().map(|(server, s)| Add::Server {
                name: server.clone(),
                group: name.clone(),
                address: s.address,
                weight: s.weight,
            }));
        }
        for (groups, members) in &self.server_groups {
            commands.push(Add::ServerGroups { name: groups.clone() });
            commands.extend(members.iter().map(|(name, weight)| Add::ServerGroupTo {
                name: name.clone(),
                groups: groups.clone(),
                weight: *weight,
            }));
        }
        for (name, group) in &self.security_groups {
            commands.push(Add::SecurityGroup {
                name: name.clone(),
                default: group.default,
            });
            commands.extend(group.rules.iter().map(|(rule, r)| Add::SecurityGroupRule {
                name: rule.clone(),
                group: name.clone(),
                rule: *r,
            }));
        }
        let tcp_lbs = self.tcp_lbs.iter();
        commands.extend(tcp_lbs.map(|(name, spec)| Add::TcpLb {
            name: name.clone(),
            spec: spec.clone(),
        }));
        commands.extend(
            self.socks5_servers
                .iter()
                .map(|(name, server)| Add::Socks5Server {
                    name: name.clone(),
                    spec: server.listener.clone(),
                    allow_non_backend: server.allow_non_backend,
                }),
        );
        commands.extend(
            self.smart_groups
                .iter()
                .map(|(name, spec)| Add::SmartGroupDelegate {
                    name: name.clone(),
                    spec: spec.clone(),
                }),
        );
        commands.extend(
            self.smart_nodes
                .iter()
                .map(|(name, spec)| Add::SmartNodeDelegate {
                    name: name.clone(),
                    spec: spec.clone(),
                }),
        );
        commands
    }
}
