//! Keeps a server group filled with the mesh's instances of a service.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::spell::Spell;
use super::unoffered::instead_of;
use crate::balance::service::{Instance, Instances, LastChoice, ServiceId};
use crate::balance::{LearnedServer, ServerGroup};
use crate::own_listeners::{self, OwnListeners};

/// Time without an instance of a service before a warning: longer than a mesh takes to start, or a service to be
/// restarted.
const WARN_AFTER: Duration = Duration::from_secs(10);

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
    own: OwnListeners,
    /// The addresses of instances that are not in the group, because this sidecar listens there.
    dropped: BTreeSet<SocketAddr>,
}

impl SmartGroup {
    /// Fills the group at once, and again whenever the mesh or what this sidecar listens on changes.
    pub(super) fn start(
        id: ServiceId,
        group: Arc<ServerGroup>,
        mut instances: MeshInstances,
        own: OwnListeners,
    ) -> Self {
        let watch = own.watch();
        let filled = Arc::new(Mutex::new(Filled {
            id,
            group: Some(group),
            own,
            dropped: BTreeSet::new(),
        }));
        let offered = fill(&filled, &instances.borrow_and_update());
        let follower = follow(Arc::clone(&filled), instances, watch, offered);
        Self {
            filled,
            _follower: AbortOnDropHandle::new(tokio::spawn(follower)),
        }
    }
}

/// Fills the group whenever the mesh or what this sidecar listens on changes, and warns if the mesh does not offer the
/// service.
async fn follow(
    filled: Arc<Mutex<Filled>>,
    mut instances: MeshInstances,
    mut own: own_listeners::Watch,
    mut offered: bool,
) {
    let mut absence = Spell::new(WARN_AFTER);
    loop {
        absence.note(!offered, Instant::now());
        tokio::select! {
            changed = instances.changed() => {
                if changed.is_err() {
                    return;
                }
                offered = fill(&filled, &instances.borrow_and_update());
            }
            () = own.changed() => offered = fill(&filled, &instances.borrow()),
            () = absence.overdue() => warn_of_absence(&filled, &instances.borrow()),
        }
    }
}

fn warn_of_absence(filled: &Mutex<Filled>, instances: &Instances) {
    let filled = filled.lock().unwrap_or_else(PoisonError::into_inner);
    let (id, Some(group)) = (&filled.id, &filled.group) else {
        return;
    };
    tracing::warn!(
        group = group.name(),
        "no {} in zone {}; {}",
        id.service,
        id.zone,
        instead_of(id, instances)
    );
}

impl Drop for SmartGroup {
    fn drop(&mut self) {
        let mut filled = self.filled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = filled.group.take() {
            group.set_learned(Vec::new());
        }
    }
}

/// Fills the group; returns whether the mesh offers the service.
fn fill(filled: &Mutex<Filled>, instances: &Instances) -> bool {
    let mut filled = filled.lock().unwrap_or_else(PoisonError::into_inner);
    let Filled {
        id,
        group: Some(group),
        own,
        dropped,
    } = &mut *filled
    else {
        return true;
    };
    let mut own_ones = BTreeSet::new();
    let mut is_elsewhere = |instance: &Instance| {
        let Some(listener) = own.reached_by(instance.address) else {
            return true;
        };
        if own_ones.insert(instance.address) && !dropped.contains(&instance.address) {
            own.count_dropped(1);
            tracing::warn!(
                group = group.name(),
                address = %instance.address,
                "an instance of {} is dropped, because its address leads to {listener} of this sidecar",
                id.service
            );
        }
        false
    };
    let server = |instance: &Instance, last_choice: Option<LastChoice>| LearnedServer {
        name: format!("{}@{}", id.service, instance.address),
        address: instance.address,
        weight: instance.weight,
        last_choice,
        at_node: instance.at_node,
    };
    let offered = instances.offered.get(id).map(Vec::as_slice).unwrap_or_default();
    let last_choice = instances
        .last_choice
        .get(id)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let all = offered.iter().map(|instance| (instance, None));
    let all = all.chain(last_choice.iter().map(|(instance, why)| (instance, Some(*why))));
    let servers = all.filter(|(instance, _)| is_elsewhere(instance));
    let servers = servers.map(|(instance, why)| server(instance, why));
    group.follow_mesh(servers, |address| instances.replaced.contains(&address));
    *dropped = own_ones;
    !offered.is_empty() || !last_choice.is_empty()
}
