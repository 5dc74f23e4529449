//! Events of containers, as reported by an engine.

use std::fmt;
use std::time::SystemTime;

/// An event of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Time of the event, by the engine's clock.
    pub at: SystemTime,
    /// The container's id.
    pub id: String,
    /// The container's name.
    pub name: String,
    /// The kind of event.
    pub action: Action,
}

/// The kind of event, in Docker's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It was created.
    Create,
    /// It was started.
    Start,
    /// Its main process exited.
    Die {
        /// The exit code, if the engine knows it.
        exit_code: Option<i64>,
    },
    /// It was paused.
    Pause,
    /// It was resumed.
    Unpause,
    /// It was removed.
    Destroy,
    /// Any other event, which changes neither its state nor its existence.
    Other(String),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create => f.write_str("create"),
            Self::Start => f.write_str("start"),
            Self::Die { exit_code: None } => f.write_str("die"),
            Self::Die {
                exit_code: Some(code),
            } => write!(f, "die (exit code {code})"),
            Self::Pause => f.write_str("pause"),
            Self::Unpause => f.write_str("unpause"),
            Self::Destroy => f.write_str("destroy"),
            Self::Other(what) => f.write_str(what),
        }
    }
}
