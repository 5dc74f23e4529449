//! The one owner of the configuration and of what runs because of it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::apply::Apply;
use super::autosave::{Autosave, SaveError};
use super::command::Command;
use super::error::CommandError;
use super::model::Model;
use super::offers::Offers;
use super::reply::{self, Reply};
use super::running::{self, Door, Running};
use super::smart_group::MeshInstances;
use crate::interface::Pinned;
use crate::proxy::Limits;
use crate::proxy::workers::Workers;

/// Executes commands. A change is checked against the configuration, done, and recorded, in this order; one that
/// is refused on the way changes nothing.
#[derive(Debug)]
pub struct Controller {
    offers: Offers,
    /// `None` where the sidecar is in no mesh.
    instances: Option<MeshInstances>,
    pinned: Option<Pinned>,
    autosave: Option<Autosave>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) model: Model,
    pub(super) running: Running,
    /// Nothing is added any more.
    stopping: bool,
}

/// What is still to be waited for when a change was made.
struct Changed {
    /// Listeners that end.
    closed: Vec<Arc<Door>>,
    /// The configuration's revision that is to be on disk.
    revision: Option<u64>,
}

impl Controller {
    /// A controller without any configuration. It tells `offers` what to announce, and fills smart groups from
    /// `instances`; without those the sidecar is in no mesh, and commands that need one are refused.
    #[must_use]
    pub fn new(offers: Offers, instances: Option<MeshInstances>) -> Self {
        Self {
            offers,
            instances,
            pinned: None,
            autosave: None,
            state: Mutex::default(),
        }
    }

    /// The same with an interface whose address is given and not looked up.
    #[must_use]
    pub fn with_pinned(self, pinned: Option<Pinned>) -> Self {
        Self { pinned, ..self }
    }

    /// The same with workers for its listeners to carry their connections on.
    #[must_use]
    pub fn with_workers(self, workers: Workers) -> Self {
        self.state().running.workers = workers;
        self
    }

    /// The same with these limits for each of its listeners.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        self.state().running.limits = limits;
        self
    }

    /// The same, saving its configuration to a file: as it is, and after each change.
    ///
    /// # Errors
    /// When it cannot be saved as it is.
    pub async fn saving_to(self, path: PathBuf) -> Result<Self, SaveError> {
        let commands = self.state().model.commands();
        let autosave = Autosave::start(path, &commands).await?;
        Ok(Self {
            autosave: Some(autosave),
            ..self
        })
    }

    /// Executes one command. When it returns, the change has taken effect, and a removed listener's address is
    /// free. Dropped once it has begun, it is done all the same, for nothing but waiting is left then.
    ///
    /// # Errors
    /// When it does not fit the configuration, or the machine does not let it be done. Nothing is changed then.
    pub async fn execute(&self, command: Command) -> Result<Reply, CommandError> {
        if let Command::List { what, detail } = &command {
            return reply::read(self, what, *detail);
        }
        let Changed { closed, revision } = self.change(command)?;
        for door in closed {
            door.listener().close().await;
        }
        if let (Some(autosave), Some(revision)) = (&self.autosave, revision)
            && let Err(error) = autosave.saved(revision).await
        {
            return Ok(Reply::Unsaved(error));
        }
        Ok(Reply::Done)
    }

    /// Ends the listeners: they stop accepting at once, and their connections have until the deadline to finish.
    /// Returns how many were cut then. From now on nothing is added; what is there can be seen and removed, for
    /// services are withdrawn meanwhile.
    pub async fn drain(&self, deadline: Duration) -> usize {
        let doors = {
            let mut state = self.state();
            state.stopping = true;
            state.running.doors()
        };
        running::drain(doors, deadline).await
    }

    fn change(&self, command: Command) -> Result<Changed, CommandError> {
        let mut guard = self.state();
        let State {
            model,
            running,
            stopping,
        } = &mut *guard;
        if *stopping && matches!(command, Command::Add(_)) {
            return Err(CommandError::refused(
                "add",
                "the sidecar is stopping: nothing is added any more",
            ));
        }
        let command = Apply::allocate(running, self.pinned.as_ref(), command)?;
        let mut next = model.clone();
        let along = next
            .apply(&command)
            .map_err(|e| Apply::explain(running, &command, e))?;
        let mut apply = Apply {
            running,
            model: &next,
            offers: &self.offers,
            instances: self.instances.as_ref(),
            pinned: self.pinned.as_ref(),
        };
        let mut closed = Vec::new();
        match &command {
            Command::Add(add) => apply.add(add)?,
            Command::Update(update) => apply.update(update)?,
            Command::Remove { what, .. } => {
                for removed in along.iter().chain([what]) {
                    closed.extend(apply.remove(removed)?);
                }
            }
            Command::List { .. } => {}
        }
        // Under the lock, so that revisions are in the order of changes.
        let revision = match &self.autosave {
            Some(autosave) if next != *model => Some(autosave.save(&next.commands())),
            _ => None,
        };
        *model = next;
        tracing::debug!(%command, "executed");
        Ok(Changed { closed, revision })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a bug of one command; the others can still be executed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
