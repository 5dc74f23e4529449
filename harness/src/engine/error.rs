//! Errors of engines, with advice for the user.

use std::path::PathBuf;

use crate::error::Error;
use crate::invocation::command_line;

/// Why an operation of an engine failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// No engine answers at the Docker engine's socket.
    #[error("no Docker engine answers at {socket}: {reason}")]
    NoEngine {
        /// The socket's path.
        socket: String,
        /// The connection's error.
        reason: String,
    },
    /// There is no socket at the default paths, and DOCKER_HOST is not set.
    #[error("no Docker engine answers at {socket}: there is no such socket")]
    NoSocket {
        /// The first default path.
        socket: String,
    },
    /// This user may not open the Docker engine's socket.
    #[error("this user may not use the Docker engine at {socket}")]
    Denied {
        /// The socket's path.
        socket: String,
    },
    /// The engine does not support network faults: its nodes share the host's network.
    #[error("network faults are not supported for processes on loopback addresses")]
    CannotCut,
    /// This system cannot run a mesh as processes.
    #[error("a mesh runs as plain processes on Linux only, and this is {system}")]
    Unsupported {
        /// The operating system's name.
        system: String,
    },
    /// The process engine's state directory cannot be used.
    #[error("{} cannot be used to keep the state of processes: {reason}", directory.display())]
    State {
        /// The directory.
        directory: PathBuf,
        /// Why it cannot be used.
        reason: String,
    },
    /// A host port is taken.
    #[error("a host port of {container} is taken: {reason}")]
    PortTaken {
        /// The container that publishes it.
        container: String,
        /// The engine's message.
        reason: String,
    },
    /// A container's name is taken.
    #[error("the container name {name} is taken")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A container, image or network does not exist, or no longer.
    #[error("{what}: {reason}")]
    Missing {
        /// The failed operation.
        what: String,
        /// The engine's message.
        reason: String,
    },
    /// Any other error.
    #[error("{what}: {reason}")]
    Other {
        /// The failed operation.
        what: String,
        /// The engine's message.
        reason: String,
    },
}

impl EngineError {
    /// Advice for the user.
    pub fn advice(&self) -> String {
        match self {
            Self::CannotCut | Self::Unsupported { .. } => "use Docker (--runtime docker)".to_owned(),
            Self::NoEngine { .. } | Self::NoSocket { .. } => {
                "start Docker (for instance `sudo systemctl start docker`, or Docker Desktop), or point DOCKER_HOST at \
                 its socket (unix:///path/to/docker.sock)"
                    .to_owned()
            }
            Self::Denied { socket } => format!(
                "add yourself to the group that owns {socket} (`sudo usermod -aG docker $USER`, then log in again), or \
                 use rootless Docker"
            ),
            Self::State { directory, .. } => format!(
                "remove {} or make it yours alone (chmod 700), or choose another directory with TMPDIR",
                directory.display()
            ),
            Self::PortTaken { .. } => {
                "free the port, or choose others with FRONTEND_PORT, LB_A_PORT and LB_B_PORT".to_owned()
            }
            Self::NameTaken { .. } => {
                "use another name for the mesh (-p NAME), or remove that container if nothing needs it".to_owned()
            }
            Self::Missing { .. } => format!(
                "another process has changed the mesh: take it down (`{}`, with its -p NAME) and start again",
                command_line(["down"])
            ),
            Self::Other { .. } => "see the engine's own log for more".to_owned(),
        }
    }
}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        Self::environment(error.to_string(), error.advice())
    }
}
