//! The server groups that a listener's new connections pick from; they may be replaced while it runs.

use std::sync::{Arc, PoisonError, RwLock};

use crate::balance::ServerGroups;

#[derive(Debug)]
pub(super) struct Backends(RwLock<Arc<ServerGroups>>);

impl Backends {
    pub(super) fn new(groups: Arc<ServerGroups>) -> Self {
        Self(RwLock::new(groups))
    }

    pub(super) fn get(&self) -> Arc<ServerGroups> {
        let groups = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        #[cfg(feature = "failpoints")]
        let groups = crate::failpoints::backends(groups);
        groups
    }

    pub(super) fn set(&self, groups: Arc<ServerGroups>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = groups;
    }
}
