//! The errors of commands.

/// Why a command is refused. A refused command changes nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A word that does not fit, with what was expected.
    #[error("{message}")]
    Invalid {
        /// The word at fault, as written; empty if the command as a whole is.
        word: String,
        /// What is wrong and what was expected.
        message: String,
    },
    /// The name is taken.
    #[error("the resource already exists")]
    Exists {
        /// The kind of resource.
        resource: &'static str,
        /// Its name.
        name: String,
    },
    /// Nothing has that name.
    #[error("the resource could not be found")]
    NotFound {
        /// The kind of resource.
        resource: &'static str,
        /// The name asked for.
        name: String,
    },
    /// It is in use; its users are named.
    #[error("{what} is used by {users}{advice}")]
    InUse {
        /// Its name.
        name: String,
        /// Its kind and name.
        what: String,
        /// What uses it: kinds and names.
        users: String,
        /// How to remove it all the same; may be empty.
        advice: String,
    },
    /// The command is valid, but the machine refuses it: an address in use, no such interface.
    #[error("{message}")]
    Refused {
        /// The word at fault.
        word: String,
        /// What the machine reported, with its causes.
        message: String,
    },
}

impl CommandError {
    pub(super) fn invalid(word: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid {
            word: word.into(),
            message: message.into(),
        }
    }

    pub(super) fn not_found(resource: &'static str, name: impl Into<String>) -> Self {
        Self::NotFound {
            resource,
            name: name.into(),
        }
    }

    pub(super) fn refused(word: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Refused {
            word: word.into(),
            message: message.into(),
        }
    }

    /// The word at fault; empty if the command as a whole is.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Invalid { word, .. } | Self::Refused { word, .. } => word,
            Self::Exists { name, .. } | Self::NotFound { name, .. } | Self::InUse { name, .. } => name,
        }
    }

    /// The message for a reader of the whole file: it names the kind of resource.
    #[must_use]
    pub fn in_context(&self) -> String {
        match self {
            Self::Exists { resource, .. } => {
                format!("a {resource} of this name exists already; names are unique within a resource")
            }
            Self::NotFound { resource, .. } => {
                format!("there is no {resource} of this name; it must be added on an earlier line")
            }
            other => other.to_string(),
        }
    }
}
