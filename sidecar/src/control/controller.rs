//! The owner of the configuration and of the parts that run for it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::address::Address;
use super::autosave::{Autosave, SaveState};
use super::command::Command;
use super::error::CommandError;
use super::offers::Offers;
use super::registration::Registration;
use super::reply::Reply;
use super::resources::{
    self, Apply, Config, GroupView, ListenerView, Listing, Read, RegistrationView, SecurityGroupView,
};
use super::running::{self, ListenerHandle, Running};
use super::smart_group::MeshInstances;
use crate::activation::ActivatedSockets;
use crate::balance::Outlook;
use crate::dns;
use crate::interface::{Addresses, wait_until_unique};
use crate::own_listeners::OwnListeners;
use crate::proxy::Limits;
use crate::proxy::workers::Workers;

/// Executes commands. A change is checked against the configuration, applied, and recorded, in this order; a change
/// that is refused in between has no effect.
#[derive(Debug)]
pub struct Controller {
    offers: Offers,
    /// `None` if the sidecar is in no mesh.
    instances: Option<MeshInstances>,
    addresses: Addresses,
    autosave: Option<Autosave>,
    changes: watch::Sender<Changes>,
    state: Mutex<State>,
}

/// What becomes of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changes {
    /// It is made.
    Made,
    /// It waits, because the configuration is being handed over.
    Held,
    /// It is refused, because another process has the configuration.
    HandedOver,
}

#[derive(Debug, Default)]
struct State {
    config: Config,
    running: Running,
    /// Whether `add` is refused, because the sidecar drains.
    stopping: bool,
}

/// What to wait for after a change.
struct Changed {
    /// Listeners to close.
    closed: Vec<Arc<ListenerHandle>>,
    /// The revision of the configuration to be saved.
    revision: Option<u64>,
}

impl Controller {
    /// A controller with an empty configuration. It announces local instances through `offers`, and fills smart groups
    /// from `instances`; without those the sidecar is in no mesh, and commands that need one are refused.
    #[must_use]
    pub fn new(offers: Offers, instances: Option<MeshInstances>) -> Self {
        Self {
            offers,
            instances,
            addresses: Addresses::default(),
            autosave: None,
            changes: watch::Sender::new(Changes::Made),
            state: Mutex::default(),
        }
    }

    /// Sets the interfaces' addresses, which registrations follow. By default they are read when asked for.
    #[must_use]
    pub fn with_addresses(self, addresses: Addresses) -> Self {
        self.state().running.own = OwnListeners::new(addresses.clone());
        Self { addresses, ..self }
    }

    /// What this sidecar itself listens on: its listeners, and those that are added to it.
    #[must_use]
    pub fn own_listeners(&self) -> OwnListeners {
        self.state().running.own.clone()
    }

    /// Sets the workers that relay the connections of its listeners.
    #[must_use]
    pub fn with_workers(self, workers: Workers) -> Self {
        self.state().running.workers = workers;
        self
    }

    /// Sets the sockets that its listeners use instead of binding their own.
    #[must_use]
    pub fn with_sockets(self, sockets: ActivatedSockets) -> Self {
        self.state().running.sockets = sockets;
        self
    }

    /// Sets the limits of each of its listeners.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        self.state().running.limits = limits;
        self
    }

    /// Sets who resolves the host names of groups, and which addresses count.
    #[must_use]
    pub fn with_resolver(self, settings: dns::Settings) -> Self {
        self.state().running.lookups.settings = settings;
        self
    }

    /// Sets whether SOCKS5 servers beyond loopback may connect their clients to any destination. By default they may not.
    #[must_use]
    pub fn with_open_proxies(self, allow: bool) -> Self {
        self.state().running.allow_open_proxies = allow;
        self
    }

    /// Saves its configuration to a file, now and after each change. What cannot be saved now is saved once it can be.
    #[must_use]
    pub async fn saving_to(self, path: PathBuf) -> Self {
        let commands = self.state().config.commands();
        let autosave = Autosave::start(path, &commands).await;
        Self {
            autosave: Some(autosave),
            ..self
        }
    }

    /// Whether its configuration is saved; `None` if it is not to be.
    #[must_use]
    pub fn save_state(&self) -> Option<SaveState> {
        self.autosave.as_ref().map(Autosave::state)
    }

    /// Executes one command. When it returns, the change has taken effect, and a removed listener's address is free.
    /// If the future is dropped after its first poll, the change is still made: only waiting remains then. Exceptions are
    /// a host name, which is resolved before the change, a listener at an IPv6 address in duplicate address detection, and
    /// a change during a restart, whose ends are waited for before it.
    ///
    /// # Errors
    /// When the command does not fit the configuration, or the machine refuses it. Nothing is changed then.
    pub async fn execute(&self, mut command: Command) -> Result<Reply, CommandError> {
        if let Command::List {
            resource,
            parents,
            detail,
        } = &command
        {
            let listing = self.read(|read| resource.list(read, parents, *detail))?;
            return Ok(match listing {
                Listing::Lines(lines) => Reply::Lines(lines),
                Listing::Count(count) => Reply::Count(count),
            });
        }
        if let Command::Add(add) = &mut command {
            if let Some(address) = add.inner_mut().address() {
                resolve(address).await?;
            }
            if let Some(address) = add.inner().listens_on() {
                wait_until_unique(address).await;
            }
        }
        self.await_handover().await?;
        let Changed { closed, revision } = self.change(command)?;
        for handle in closed {
            handle.listener().close().await;
        }
        if let (Some(autosave), Some(revision)) = (&self.autosave, revision)
            && let Err(error) = autosave.saved(revision).await
        {
            return Ok(Reply::Unsaved(error));
        }
        Ok(Reply::Done)
    }

    /// Withdraws all local instances from the mesh, and never announces them again; returns the number of those that were
    /// announced. From now on `add` is refused; the instances' registrations can still be listed and removed.
    pub fn withdraw(&self) -> usize {
        let mut state = self.state();
        state.stopping = true;
        let registrations = state.running.registrations.values();
        registrations
            .map(Registration::withdraw)
            .filter(|announced| *announced)
            .count()
    }

    async fn await_handover(&self) -> Result<(), CommandError> {
        let mut changes = self.changes.subscribe();
        let settled = changes.wait_for(|changes| *changes != Changes::Held).await;
        match settled.map(|changes| *changes) {
            // `self` holds the sender.
            Ok(Changes::Made) | Err(_) => Ok(()),
            Ok(_) => Err(CommandError::refused(
                "restart",
                "the sidecar has just restarted: send the command again, on a new connection",
            )),
        }
    }

    pub(super) fn set_changes(&self, changes: Changes) {
        self.changes.send_replace(changes);
    }

    pub(super) fn stop_saving(&self) {
        if let Some(autosave) = &self.autosave {
            autosave.stop();
        }
    }

    /// Ends the listeners: they stop accepting at once, and their connections have until the deadline to finish.
    /// Returns the number of connections aborted at the deadline. From now on `add` is refused; resources can still
    /// be listed and removed, because services deregister during this time.
    pub async fn drain(&self, deadline: Duration) -> usize {
        let listeners = {
            let mut state = self.state();
            state.stopping = true;
            state.running.all_listeners()
        };
        running::drain(listeners, deadline).await
    }

    fn change(&self, mut command: Command) -> Result<Changed, CommandError> {
        let mut guard = self.state();
        let State {
            config,
            running,
            stopping,
        } = &mut *guard;
        if let Command::Add(add) = &mut command {
            if *stopping {
                return Err(CommandError::refused(
                    "add",
                    "the sidecar is stopping: nothing is added any more",
                ));
            }
            add.inner_mut().settle(running, &self.addresses)?;
        }
        let mut next = config.clone();
        let removed = command.configure(&mut next).map_err(|error| match &command {
            Command::Remove { id, .. } => resources::explain_missing(running, id, error),
            Command::Update(update) => resources::explain_missing(running, &update.inner().id(), error),
            _ => error,
        })?;
        let mut apply = Apply {
            running,
            config: &next,
            offers: &self.offers,
            instances: self.instances.as_ref(),
            addresses: &self.addresses,
        };
        let mut closed = Vec::new();
        match &command {
            Command::Add(add) => add.inner().start(&mut apply)?,
            Command::Update(update) => update.inner().apply(&mut apply)?,
            Command::RemoveSessions { which, listener } => {
                resources::remove_sessions(&apply, which, listener)?;
            }
            Command::Remove { .. } | Command::List { .. } | Command::WithoutEffect => {
                for add in &removed {
                    closed.extend(add.inner().stop(&mut apply)?);
                }
            }
        }
        // Under the lock, so that revisions are in the order of changes.
        let revision = match &self.autosave {
            Some(autosave) if next != *config => Some(autosave.save(&next.commands())),
            _ => None,
        };
        *config = next;
        tracing::debug!(%command, "executed");
        Ok(Changed { closed, revision })
    }

    /// The server groups, in the order in which they were added.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupView> {
        self.read(resources::groups)
    }

    /// What a new connection to a group can expect, as it changes; `None` if there is no such group.
    #[must_use]
    pub fn watch_outlook(&self, group: &str) -> Option<watch::Receiver<Outlook>> {
        self.read(|read| Some(read.running.group(group).ok()?.watch_outlook()))
    }

    /// The listeners: the load balancers, then the SOCKS5 servers, each in the order in which they were added.
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerView> {
        self.read(resources::listeners)
    }

    /// The security groups, in the order in which they were added.
    #[must_use]
    pub fn security_groups(&self) -> Vec<SecurityGroupView> {
        self.read(resources::security_groups)
    }

    /// The registrations, in the order in which they were added.
    #[must_use]
    pub fn registrations(&self) -> Vec<RegistrationView> {
        self.read(resources::registrations)
    }

    /// Reads a consistent snapshot. Other commands wait for it.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Read<'_>) -> T) -> T {
        let state = self.state();
        read(&Read {
            config: &state.config,
            running: &state.running,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a bug of one command; the others can still be executed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves an address, if it is a host name.
async fn resolve(address: &mut Address) -> Result<(), CommandError> {
    let Some(host) = address.host() else {
        return Ok(());
    };
    match host.resolve().await {
        Ok(found) => address.set_resolved(found),
        Err(error) => {
            return Err(CommandError::refused(
                host.to_string(),
                format!("address {host}: {error}"),
            ));
        }
    }
    Ok(())
}
