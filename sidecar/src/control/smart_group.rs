//! A smart-group-delegate at work: a server group that is kept filled with the mesh's instances of a service.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::command::SmartGroupSpec;
use crate::balance::ServerGroup;
use crate::balance::service::{Instances, ServiceId};

/// What the mesh offers, as it changes.
pub(super) type MeshInstances = watch::Receiver<Arc<Instances>>;

/// Fills the group at once, and again whenever the mesh changes, until the handle is dropped.
pub(super) fn follow(
    spec: &SmartGroupSpec,
    group: Arc<ServerGroup>,
    mut instances: MeshInstances,
) -> AbortOnDropHandle<()> {
    let id = ServiceId {
        service: spec.service.clone(),
        zone: spec.zone.clone(),
    };
    fill(&group, &id, &instances.borrow_and_update());
    AbortOnDropHandle::new(tokio::spawn(async move {
        while instances.changed().await.is_ok() {
            fill(&group, &id, &instances.borrow_and_update());
        }
    }))
}

fn fill(group: &ServerGroup, id: &ServiceId, instances: &Instances) {
    let offered = instances.get(id).map(Vec::as_slice).unwrap_or_default();
    let servers = offered
        .iter()
        .map(|i| (format!("{}@{}", id.service, i.address), i.address, i.weight))
        .collect();
    group.set_learned(servers);
}
