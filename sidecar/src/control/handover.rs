//! The control plane's part of a restart: what it hands to the next process of the sidecar, and how that goes on.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::command::Command;
use super::controller::{Changes, Controller};
use super::file::Script;
use super::resources::{Resource, with_bound_address};
use super::running::Group;
use crate::diagnostic::Diagnostics;

/// What the control plane hands over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlState {
    /// The commands that make the configuration from an empty one, in order.
    pub commands: Vec<String>,
    /// The registrations that are announced to the mesh, by name.
    pub announced: BTreeSet<String>,
    /// The health of the servers that have been checked.
    pub servers: Vec<ServerHealth>,
}

/// The health of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerHealth {
    /// Its group.
    pub group: String,
    /// Its name.
    pub server: String,
    /// Its address.
    pub address: SocketAddr,
    /// Whether it is up.
    pub up: bool,
}

impl ControlState {
    /// The commands, parsed.
    ///
    /// # Errors
    /// Each command that this program does not know.
    pub fn script(&self) -> Result<Script, Diagnostics> {
        Script::parse([("the running configuration", self.commands.join("\n").as_str())])
    }
}

impl Controller {
    /// Duplicates of the sockets of its listeners.
    #[must_use]
    pub fn sockets(&self) -> Vec<OwnedFd> {
        self.read(|read| {
            let listeners = read.running.listeners.values();
            listeners
                .filter_map(|handle| handle.listener().duplicate())
                .collect()
        })
    }

    /// Holds further changes back, and returns what is to be handed over.
    #[must_use]
    pub fn begin_handover(&self) -> ControlState {
        self.set_changes(Changes::Held);
        self.read(|read| {
            let commands = read.config.commands().into_iter();
            let groups = read.config.all(Resource::ServerGroup);
            let groups = groups.filter_map(|add| read.running.group(&add.id().name).ok());
            let servers = groups.flat_map(|group| {
                let name = group.name().to_owned();
                let health = group.health().into_iter();
                health.map(move |(server, address, up)| ServerHealth {
                    group: name.clone(),
                    server,
                    address,
                    up,
                })
            });
            let registrations = read.running.registrations.iter();
            let announced = registrations.filter(|(_, registration)| registration.is_announced());
            ControlState {
                commands: commands
                    .map(|add| Command::Add(with_bound_address(add, read)).to_string())
                    .collect(),
                announced: announced.map(|(name, _)| name.clone()).collect(),
                servers: servers.collect(),
            }
        })
    }

    /// Makes the changes that were held back, and further ones.
    pub fn abort_handover(&self) {
        self.set_changes(Changes::Made);
    }

    /// Stops accepting and saving, for the next process does: connections in the backlog are left to it. The changes held
    /// back, and further ones, are refused.
    pub async fn finish_handover(&self) {
        self.stop_saving();
        let mut closing = JoinSet::new();
        for handle in self.read(|read| read.running.all_listeners()) {
            closing.spawn(async move { handle.listener().hand_over().await });
        }
        closing.join_all().await;
        self.set_changes(Changes::HandedOver);
    }

    /// Goes on as an earlier process did, whose commands have been executed: servers are up that were up, and announced
    /// registrations stay announced until a check fails.
    pub fn resume(&self, state: &ControlState) {
        self.read(|read| {
            for add in read.config.all(Resource::ServerGroup) {
                let group = add.id().name;
                let servers = state.servers.iter().filter(|server| server.group == group);
                let addresses = servers.map(|server| server.address.ip()).collect();
                if let Some(resolved) = read.running.groups.get(&group).and_then(Group::resolved) {
                    resolved.resume(addresses);
                }
            }
            for ServerHealth {
                group,
                server,
                address,
                up,
            } in &state.servers
            {
                if let Ok(group) = read.running.group(group) {
                    group.resume_health(server, *address, *up);
                }
            }
            for name in &state.announced {
                if let Some(registration) = read.running.registrations.get(name) {
                    registration.resume();
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::control::{CommandError, Offers, Reply};

    fn controller() -> Controller {
        Controller::new(Offers::new(), None)
    }

    async fn execute(controller: &Controller, commands: &[&str]) {
        for line in commands {
            let done = controller.execute(line.parse().unwrap()).await;
            assert!(done.is_ok(), "{line}: {done:?}");
        }
    }

    #[tokio::test]
    async fn another_process_has_the_same_configuration_and_health() {
        let refuses = "127.0.0.1:9";
        let before = controller();
        let commands = [
            "add server-group g timeout 1000 period 60000 up 1 down 3",
            "add server-groups s",
            "add server-group g to server-groups s",
            &format!("add server a to server-group g address {refuses}"),
            "add tcp-lb lb address 127.0.0.1:0 server-groups s",
            "update tcp-lb lb security-group (allow-all)",
        ];
        execute(&before, &commands).await;
        before.read(|read| {
            let group = read.running.group("g").unwrap();
            group.resume_health("a", refuses.parse().unwrap(), true);
        });
        let state = before.begin_handover();
        let bound = before.listeners()[0].address;
        assert_eq!(before.sockets().len(), 1);
        before.finish_handover().await;

        let after = controller();
        for line in state.script().unwrap().lines {
            after.execute(line.command).await.unwrap();
        }
        after.resume(&state);
        assert_eq!(after.listeners()[0].address, bound);
        assert!(after.groups()[0].servers[0].up);
        assert_eq!(after.begin_handover(), state);
    }

    #[tokio::test]
    async fn changes_wait_for_the_end_of_a_handover() {
        let controller = controller();
        let add = |name: &str| format!("add server-groups {name}").parse::<Command>().unwrap();
        let _state = controller.begin_handover();
        let mut held = Box::pin(controller.execute(add("a")));
        assert!(tokio::time::timeout(Duration::ZERO, &mut held).await.is_err());
        let list = controller.execute("list server-groups".parse().unwrap()).await;
        assert!(matches!(list, Ok(Reply::Lines(names)) if names.is_empty()));
        controller.abort_handover();
        held.await.unwrap();
        let _state = controller.begin_handover();
        controller.finish_handover().await;
        let refused = controller.execute(add("b")).await;
        assert!(
            matches!(refused, Err(CommandError::Refused { .. })),
            "{refused:?}"
        );
    }
}
