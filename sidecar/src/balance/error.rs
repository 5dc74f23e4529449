//! Errors of changes to a group or a set of groups.

/// Why a group's servers were not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// The name is taken.
    #[error("server-group {group} already has a server with name {name}")]
    Exists {
        /// The group.
        group: String,
        /// The name asked for.
        name: String,
    },
    /// No server has the name.
    #[error("server-group {group} has no server with name {name}")]
    Unknown {
        /// The group.
        group: String,
        /// The name asked for.
        name: String,
    },
    /// The server was learned from the mesh, which would restore it.
    #[error("server {name} of server-group {group} is learned from the mesh: change it where it is offered")]
    Learned {
        /// The group.
        group: String,
        /// The name asked for.
        name: String,
    },
}

/// Why a set was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// The group is in the set already.
    #[error("server-group {group} is already in server-groups {groups}")]
    Attached {
        /// The set.
        groups: String,
        /// The group.
        group: String,
    },
    /// The group is not in the set.
    #[error("server-group {group} is not in server-groups {groups}")]
    NotAttached {
        /// The set.
        groups: String,
        /// The group.
        group: String,
    },
}
