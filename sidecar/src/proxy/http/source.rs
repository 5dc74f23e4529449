//! Where a request's endpoint is picked from.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::named::Named;
use crate::balance::{Lease, Outlook, ServerGroup, ServerGroups, Tried};
use crate::proxy::backends::Backends;
use crate::proxy::hold::Backend;

/// What the requests of a connection pick their endpoints from.
#[derive(Debug)]
pub(in crate::proxy) enum Source {
    /// The backends of the listener, at the time of the request.
    Listener(Arc<Backends>),
    /// The group that the client has named.
    Group(Arc<ServerGroup>),
    /// The group that each request names.
    Named(Named),
}

/// What one request picks its endpoint from.
pub(super) enum Picker {
    Nothing,
    Groups(Arc<ServerGroups>),
    Group(Arc<ServerGroup>),
}

impl Source {
    pub(super) fn picker(&self) -> Picker {
        match self {
            Self::Listener(backends) => {
                let groups = backends.get();
                #[cfg(feature = "failpoints")]
                let groups = crate::failpoints::request_backends(groups);
                Picker::Groups(groups)
            }
            Self::Group(group) => Picker::Group(Arc::clone(group)),
            Self::Named(named) => named.group().map_or(Picker::Nothing, Picker::Group),
        }
    }
}

impl Backend for Picker {
    fn pick(&self, client: IpAddr, tried: &Tried) -> Option<Lease> {
        match self {
            Self::Nothing => None,
            Self::Groups(groups) => groups.pick(client, tried),
            Self::Group(group) => group.pick(client, tried),
        }
    }

    fn outlook(&self) -> Outlook {
        match self {
            Self::Nothing => Outlook::None,
            Self::Groups(groups) => groups.outlook(),
            Self::Group(group) => group.outlook(),
        }
    }

    fn recheck(&self) {
        match self {
            Self::Nothing => {}
            Self::Groups(groups) => groups.recheck(),
            Self::Group(group) => group.recheck(),
        }
    }
}

/// A picker of which the first pick has been made.
pub(super) struct Picked {
    picker: Picker,
    first: Mutex<Option<Lease>>,
}

impl Picked {
    pub(super) fn new(picker: Picker, first: Option<Lease>) -> Self {
        Self {
            picker,
            first: Mutex::new(first),
        }
    }

    fn first(&self) -> Option<Lease> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Backend for Picked {
    fn pick(&self, client: IpAddr, tried: &Tried) -> Option<Lease> {
        self.first().or_else(|| self.picker.pick(client, tried))
    }

    /// Asked while the request waits, after which the first pick is no longer the right one.
    fn outlook(&self) -> Outlook {
        drop(self.first());
        self.picker.outlook()
    }

    fn recheck(&self) {
        self.picker.recheck();
    }
}
