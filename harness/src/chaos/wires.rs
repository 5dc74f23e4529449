//! Faults of the network between members that run: helpers, which cut what a member sends.

use std::collections::BTreeMap;
use std::net::IpAddr;

use futures_util::future::join_all;
use tokio::sync::Mutex;

use super::fault::Fault;
use super::network::{ALL, Losses, losses, of_sender};
use crate::error::Error;
use crate::mesh::Mesh;
use crate::runtime::{Image, Runtime, RuntimeError, WireAction};

/// What is lost between the members of one mesh.
#[derive(Debug)]
pub struct Wires {
    runtime: Runtime,
    image: Option<Image>,
    labels: BTreeMap<String, String>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<Fault>,
    /// By the sender's name.
    cut: BTreeMap<String, Sender>,
}

/// What is lost of that which one member sends.
#[derive(Debug, Default)]
struct Sender {
    lost: BTreeMap<u8, Vec<IpAddr>>,
    helpers: Vec<String>,
}

impl Wires {
    /// Nothing is lost yet. Helpers are of `image`, without which nothing can be lost, and carry `labels`.
    pub fn new(runtime: Runtime, image: Option<Image>, labels: BTreeMap<String, String>) -> Self {
        Self {
            runtime,
            image,
            labels,
            state: Mutex::default(),
        }
    }

    /// Begins a fault of the network of `mesh`.
    ///
    /// # Errors
    /// The runtime cannot do that, or the engine's.
    pub async fn begin(&self, fault: &Fault, mesh: &Mesh) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        state.faults.push(fault.clone());
        self.update(&mut state, mesh).await
    }

    /// Heals one that was begun.
    ///
    /// # Errors
    /// The engine's.
    pub async fn heal(&self, fault: &Fault, mesh: &Mesh) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        if let Some(at) = state.faults.iter().position(|on| on == fault) {
            state.faults.remove(at);
        }
        self.update(&mut state, mesh).await
    }

    /// Does anew what a member has lost by its restart; all others know its address from now on.
    ///
    /// # Errors
    /// The engine's.
    pub async fn renew(&self, member: &str, mesh: &Mesh) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        if let Some(old) = state.cut.remove(member) {
            // What they cut went with the member's last run.
            join_all(old.helpers.iter().map(|helper| self.runtime.unwire(helper))).await;
        }
        self.update(&mut state, mesh).await
    }

    /// Changes what is lost to what the faults that are on come to. Members that do not run send nothing.
    async fn update(&self, state: &mut State, mesh: &Mesh) -> Result<(), Error> {
        let names: Vec<&str> = mesh.nodes().iter().map(|node| node.member.name()).collect();
        let wanted = losses(&state.faults, &names);
        let address = |name: &&str| {
            let node = mesh.node(name).ok()?;
            Some(((*name).to_owned(), node.container.address?))
        };
        let addresses: BTreeMap<String, IpAddr> = names.iter().filter_map(address).collect();
        let changes = addresses.keys().map(|name| {
            let known = state.cut.remove(name).unwrap_or_default();
            self.sender(name, known, mesh, &wanted, &addresses)
        });
        let changed = join_all(changes).await;
        let mut result = Ok(());
        for (name, (sender, done)) in addresses.keys().zip(changed) {
            state.cut.insert(name.clone(), sender);
            result = result.and(done);
        }
        Ok(result?)
    }

    /// Brings one sender from what is `known` to what is wanted. Also where that fails it says what is cut then.
    async fn sender(
        &self,
        name: &str,
        known: Sender,
        mesh: &Mesh,
        wanted: &Losses,
        addresses: &BTreeMap<String, IpAddr>,
    ) -> (Sender, Result<(), RuntimeError>) {
        let lost = of_sender(wanted, name, addresses);
        if lost == known.lost {
            return (known, Ok(()));
        }
        let Ok(node) = mesh.node(name) else {
            return (known, Ok(()));
        };
        let container = &node.container.id;
        // One address is in the hands of one helper: the old ones go first.
        let mut done: Result<(), RuntimeError> = Ok(());
        for ended in join_all(known.helpers.iter().map(|helper| self.runtime.unwire(helper))).await {
            done = done.and(ended);
        }
        let mut sender = Sender::default();
        let made = join_all(
            lost.iter()
                .map(|(percent, addresses)| self.helper(container, *percent, addresses)),
        );
        for helper in made.await {
            match helper {
                Ok(helper) => sender.helpers.push(helper),
                Err(error) => done = done.and(Err(error)),
            }
        }
        sender.lost = lost;
        // It may have been stopped since it was looked at: then it sends nothing, and comes back renewed.
        if done.is_err() && !self.runs(container).await {
            done = Ok(());
        }
        (sender, done)
    }

    async fn helper(
        &self,
        container: &str,
        percent: u8,
        addresses: &[IpAddr],
    ) -> Result<String, RuntimeError> {
        let Some(image) = &self.image else {
            return Err(RuntimeError::NoCuts);
        };
        let addresses = addresses.to_vec();
        let action = match percent {
            ALL => WireAction::Block(addresses),
            percent => WireAction::Lose { percent, addresses },
        };
        self.runtime.wire(image, container, &action, &self.labels).await
    }

    async fn runs(&self, container: &str) -> bool {
        let look = self.runtime.container(container).await;
        look.is_ok_and(|container| container.state != "exited")
    }
}
