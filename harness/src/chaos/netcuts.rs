//! Faults of the network between members that run: helpers, which cut what a member sends.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::PoisonError;

use futures_util::future::join_all;
use tokio::sync::Mutex;

use super::fault::Fault;
use super::network::{ALL, losses, of_sender};
use crate::cluster::mesh::{Mesh, Node};
use crate::engine::{Engine, EngineError, Image, NetworkCut};
use crate::error::Error;

/// What is lost between the members of one mesh.
#[derive(Debug)]
pub struct Netcuts {
    engine: Engine,
    image: Option<Image>,
    labels: BTreeMap<String, String>,
    wanted: std::sync::Mutex<Wanted>,
    /// By their names. Each is changed by one at a time, to what is wanted then, and no other waits for it.
    senders: BTreeMap<String, Mutex<Sender>>,
}

/// What is to be lost.
#[derive(Debug, Default)]
struct Wanted {
    faults: Vec<Fault>,
    /// Of the members that run.
    addresses: BTreeMap<String, IpAddr>,
}

/// What is lost of that which one member sends.
#[derive(Debug, Default)]
struct Sender {
    lost: BTreeMap<u8, Vec<IpAddr>>,
    helpers: Vec<String>,
}

impl Netcuts {
    /// Nothing is lost between `members` yet. Helpers are of `image`, without which nothing can be lost, and carry
    /// `labels`.
    pub fn new<'a>(
        engine: Engine,
        image: Option<Image>,
        labels: BTreeMap<String, String>,
        members: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let sender = |name: &str| (name.to_owned(), Mutex::default());
        Self {
            engine,
            image,
            labels,
            wanted: std::sync::Mutex::default(),
            senders: members.into_iter().map(sender).collect(),
        }
    }

    /// Begins a fault of the network of `mesh`.
    ///
    /// # Errors
    /// The runtime cannot do that, or the engine's.
    pub async fn begin(&self, fault: &Fault, mesh: &Mesh) -> Result<(), Error> {
        self.wanted(mesh, |wanted| wanted.faults.push(fault.clone()));
        self.update(mesh).await
    }

    /// Heals one that was begun.
    ///
    /// # Errors
    /// The engine's.
    pub async fn heal(&self, fault: &Fault, mesh: &Mesh) -> Result<(), Error> {
        self.wanted(mesh, |wanted| {
            if let Some(at) = wanted.faults.iter().position(|on| on == fault) {
                wanted.faults.remove(at);
            }
        });
        self.update(mesh).await
    }

    /// Does anew what a member has lost by its restart; all others know its address from now on.
    ///
    /// # Errors
    /// The engine's.
    pub async fn renew(&self, member: &str, mesh: &Mesh) -> Result<(), Error> {
        self.wanted(mesh, |_| {});
        if let Some(sender) = self.senders.get(member) {
            let old = std::mem::take(&mut *sender.lock().await);
            // What they cut went with the member's last run.
            join_all(old.helpers.iter().map(|helper| self.engine.heal_network(helper))).await;
        }
        self.update(mesh).await
    }

    /// Changes what is wanted, and learns the addresses anew.
    fn wanted<T>(&self, mesh: &Mesh, change: impl FnOnce(&mut Wanted) -> T) -> T {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let address = |node: &Node| Some((node.member.name().to_owned(), node.container.address?));
        wanted.addresses = mesh.nodes().iter().filter_map(address).collect();
        change(&mut wanted)
    }

    /// What is to be lost now of that which one member sends; nothing is known of one that does not run.
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

    /// Changes what is lost to what the faults that are on come to.
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
    ) -> Result<(), EngineError> {
        // One address is in the hands of one helper: the old ones go first.
        let old = std::mem::take(sender);
        let mut done: Result<(), EngineError> = Ok(());
        for ended in join_all(old.helpers.iter().map(|helper| self.engine.heal_network(helper))).await {
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
        // It may have been stopped since it was looked at: then it sends nothing, and comes back renewed.
        if done.is_err() && !self.runs(container).await {
            return Ok(());
        }
        done
    }

    async fn helper(
        &self,
        container: &str,
        percent: u8,
        addresses: &[IpAddr],
    ) -> Result<String, EngineError> {
        let Some(image) = &self.image else {
            return Err(EngineError::CannotCut);
        };
        let addresses = addresses.to_vec();
        let action = match percent {
            ALL => NetworkCut::Block(addresses),
            percent => NetworkCut::Lose { percent, addresses },
        };
        self.engine
            .cut_network(image, container, &action, &self.labels)
            .await
    }

    async fn runs(&self, container: &str) -> bool {
        let look = self.engine.container(container).await;
        look.is_ok_and(|container| container.state != "exited")
    }
}
