//! Injects network faults into a running mesh: helper containers drop the packets that a member sends.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::PoisonError;

use futures_util::future::join_all;
use tokio::sync::Mutex;

use super::fault::Fault;
use super::packet_loss::{ALL, losses, of_sender};
use super::retry::Retry;
use crate::cluster::mesh::{Mesh, Node};
use crate::engine::{Engine, EngineError, Image, NetworkCut};
use crate::error::Error;

/// The active network faults of one mesh.
#[derive(Debug)]
pub struct NetworkFaults {
    engine: Engine,
    image: Option<Image>,
    labels: BTreeMap<String, String>,
    retry: Retry,
    wanted: std::sync::Mutex<Wanted>,
    /// The senders by member name. Each lock serialises the changes of one sender.
    senders: BTreeMap<String, Mutex<Sender>>,
}

/// The desired state.
#[derive(Debug, Default)]
struct Wanted {
    faults: Vec<Fault>,
    /// Addresses of the running members.
    addresses: BTreeMap<String, IpAddr>,
}

/// The applied state of one sender.
#[derive(Debug, Default)]
struct Sender {
    lost: BTreeMap<u8, Vec<IpAddr>>,
    helpers: Vec<String>,
}

impl NetworkFaults {
    /// Creates the state without faults. Helpers run `image`, without which no fault can be injected, and carry
    /// `labels`. Engine calls that fail are repeated by `retry`.
    pub fn new<'a>(
        engine: Engine,
        image: Option<Image>,
        labels: BTreeMap<String, String>,
        members: impl IntoIterator<Item = &'a str>,
        retry: Retry,
    ) -> Self {
        let sender = |name: &str| (name.to_owned(), Mutex::default());
        Self {
            engine,
            image,
            labels,
            retry,
            wanted: std::sync::Mutex::default(),
            senders: members.into_iter().map(sender).collect(),
        }
    }

    /// Injects a network fault.
    ///
    /// # Errors
    /// The engine does not support network faults, or the engine fails.
    pub async fn inject(&self, fault: &Fault, mesh: &Mesh) -> Result<(), Error> {
        self.wanted(mesh, |wanted| wanted.faults.push(fault.clone()));
        self.update(mesh).await
    }

    /// Heals an injected fault.
    ///
    /// # Errors
    /// The engine fails.
    pub async fn heal(&self, fault: &Fault, mesh: &Mesh) -> Result<(), Error> {
        self.wanted(mesh, |wanted| {
            if let Some(at) = wanted.faults.iter().position(|active| active == fault) {
                wanted.faults.remove(at);
            }
        });
        self.update(mesh).await
    }

    /// Applies the active faults again after a member's restart, which discards its rules and may change its address.
    ///
    /// # Errors
    /// The engine fails.
    pub async fn reapply(&self, member: &str, mesh: &Mesh) -> Result<(), Error> {
        self.wanted(mesh, |_| {});
        if let Some(sender) = self.senders.get(member) {
            let old = std::mem::take(&mut *sender.lock().await);
            // Errors are ignored: the rules ended with the member's previous run.
            join_all(old.helpers.iter().map(|helper| self.engine.heal_network(helper))).await;
        }
        self.update(mesh).await
    }

    /// Changes the desired state, and updates the addresses.
    fn wanted<T>(&self, mesh: &Mesh, change: impl FnOnce(&mut Wanted) -> T) -> T {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let address = |node: &Node| Some((node.member.name().to_owned(), node.container.address?));
        wanted.addresses = mesh.nodes().iter().filter_map(address).collect();
        change(&mut wanted)
    }

    /// The desired losses of one sender; `None` if it is not running.
    fn lost(&self, name: &str) -> Option<BTreeMap<u8, Vec<IpAddr>>> {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<&str> = self.senders.keys().map(String::as_str).collect();
        wanted.addresses.get(name)?;
        Some(of_sender(
            &losses(&wanted.faults, &names),
            name,
            &wanted.addresses,
        ))
    }

    /// Brings every sender to its desired state.
    async fn update(&self, mesh: &Mesh) -> Result<(), Error> {
        let changes = self.senders.iter().map(async |(name, sender)| {
            let node = mesh.node(name)?;
            let mut sender = sender.lock().await;
            match self.lost(name) {
                Some(lost) if lost != sender.lost => {
                    self.change(&mut sender, lost, &node.container.id).await?;
                }
                _ => {}
            }
            Ok(())
        });
        join_all(changes).await.into_iter().collect()
    }

    async fn change(
        &self,
        sender: &mut Sender,
        lost: BTreeMap<u8, Vec<IpAddr>>,
        container: &str,
    ) -> Result<(), Error> {
        // An address belongs to at most one helper: remove the old ones first.
        let old = std::mem::take(sender);
        let mut done: Result<(), Error> = Ok(());
        let healed = old.helpers.iter().map(|helper| self.heal_network(helper));
        for ended in join_all(healed).await {
            done = done.and(ended);
        }
        let made = lost
            .iter()
            .map(|(percent, addresses)| self.helper(container, *percent, addresses));
        for helper in join_all(made).await {
            match helper {
                Ok(helper) => sender.helpers.push(helper),
                Err(error) => done = done.and(Err(error)),
            }
        }
        sender.lost = lost;
        // The member may have stopped in the meantime: `reapply` then follows after its restart.
        if done.is_err() && !self.is_running(container).await {
            return Ok(());
        }
        done
    }

    /// Starts a helper that drops packets to `addresses`.
    async fn helper(&self, container: &str, percent: u8, addresses: &[IpAddr]) -> Result<String, Error> {
        let Some(image) = &self.image else {
            return Err(EngineError::CannotCut.into());
        };
        let addresses = addresses.to_vec();
        let action = match percent {
            ALL => NetworkCut::Block(addresses),
            percent => NetworkCut::Lose { percent, addresses },
        };
        let cut = async || {
            let cut = self.engine.cut_network(image, container, &action, &self.labels);
            Ok(cut.await?)
        };
        self.retry.once(cut).await
    }

    /// Ends a helper, which restores the network.
    async fn heal_network(&self, helper: &str) -> Result<(), Error> {
        self.retry
            .once(async || Ok(self.engine.heal_network(helper).await?))
            .await
    }

    async fn is_running(&self, container: &str) -> bool {
        let inspected = self.engine.container(container).await;
        inspected.is_ok_and(|container| container.state != "exited")
    }
}
