//! A smart-group-delegate at work: a server group that is kept filled with the mesh's instances of a service.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::balance::ServerGroup;
use crate::balance::service::{Instances, ServiceId};

/// What the mesh offers, as it changes.
pub(super) type MeshInstances = watch::Receiver<Arc<Instances>>;

/// A group that follows the mesh. Dropped, it holds nothing any more that the mesh taught.
#[derive(Debug)]
pub(super) struct SmartGroup {
    filled: Arc<Mutex<Filled>>,
    _follower: AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct Filled {
    id: ServiceId,
    /// `None` once the delegate is removed: nothing may be filled in after that.
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
