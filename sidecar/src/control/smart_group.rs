//! Keeps a server group filled with the mesh's instances of a service.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::balance::ServerGroup;
use crate::balance::service::{Instances, ServiceId};

/// The mesh's instances, as they change.
pub(super) type MeshInstances = watch::Receiver<Arc<Instances>>;

/// A server group that follows the mesh. Dropping it removes the servers learned from the mesh.
#[derive(Debug)]
pub(super) struct SmartGroup {
    filled: Arc<Mutex<Filled>>,
    _follower: AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct Filled {
    id: ServiceId,
    /// `None` once the delegate is removed: no server is added after that.
    group: Option<Arc<ServerGroup>>,
}

impl SmartGroup {
    /// Fills the group at once, and again whenever the mesh changes.
    pub(super) fn start(id: ServiceId, group: Arc<ServerGroup>, mut instances: MeshInstances) -> Self {
        let filled = Arc::new(Mutex::new(Filled {
            id,
            group: Some(group),
        }));
        fill(&filled, &instances.borrow_and_update());
        let follower = {
            let filled = Arc::clone(&filled);
            async move {
                while instances.changed().await.is_ok() {
                    fill(&filled, &instances.borrow_and_update());
                }
            }
        };
        Self {
            filled,
            _follower: AbortOnDropHandle::new(tokio::spawn(follower)),
        }
    }
}

impl Drop for SmartGroup {
    fn drop(&mut self) {
        let mut filled = self.filled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = filled.group.take() {
            group.set_learned(Vec::new());
        }
    }
}

fn fill(filled: &Mutex<Filled>, instances: &Instances) {
    let filled = filled.lock().unwrap_or_else(PoisonError::into_inner);
    let Filled {
        id,
        group: Some(group),
    } = &*filled
    else {
        return;
    };
    let offered = instances.offered.get(id).map(Vec::as_slice).unwrap_or_default();
    let servers = offered.iter().map(|instance| {
        let address = instance.address;
        (format!("{}@{address}", id.service), address, instance.weight)
    });
    group.set_learned_marking_down(servers.collect(), |address| instances.down.contains(&address));
}
