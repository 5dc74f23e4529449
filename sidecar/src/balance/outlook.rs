//! What a connection that waits for an endpoint can expect.

use super::endpoint::Priority;
use super::groups::ServerGroups;

/// Whether a connection would find an endpoint now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outlook {
    /// There is no candidate.
    None,
    /// The best candidate has failed, or nobody has proven it.
    Poor,
    /// A candidate is up.
    Good,
}

impl Outlook {
    pub(super) fn of(best: Option<Priority>) -> Self {
        match best {
            None => Self::None,
            Some(priority) if priority >= Priority::Leaving => Self::Good,
            Some(_) => Self::Poor,
        }
    }
}

impl ServerGroups {
    /// What a new connection can expect.
    pub fn outlook(&self) -> Outlook {
        let groups = self.groups().into_iter().filter(|attached| attached.weight > 0);
        let outlooks = groups.map(|attached| attached.group.outlook());
        outlooks.max().unwrap_or(Outlook::None)
    }

    /// Has the servers that are not up checked soon: a connection waits for one.
    pub fn recheck(&self) {
        for attached in self.groups() {
            attached.group.recheck();
        }
    }
}
