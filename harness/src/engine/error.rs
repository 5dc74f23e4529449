//! Why an engine did not do what it was asked, and what the user can do about it.

use std::path::PathBuf;

use crate::error::Error;

/// Why an engine did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// Nothing answers at the Docker engine's socket.
    #[error("no Docker engine answers at {socket}: {reason}")]
    NoEngine {
        /// The socket's path.
        socket: String,
        /// What happened instead.
        reason: String,
    },
    /// No Docker engine's socket is at the usual paths, and DOCKER_HOST names none.
    #[error("no Docker engine answers at {socket}: there is no such socket")]
    NoSocket {
        /// The usual path.
        socket: String,
    },
    /// This user may not open the Docker engine's socket.
    #[error("this user may not use the Docker engine at {socket}")]
    Denied {
        /// The socket's path.
        socket: String,
    },
    /// The engine has no network between containers that could be cut.
    #[error("processes on this machine's loopback addresses cannot be cut from each other")]
    CannotCut,
    /// This system cannot run a mesh as processes.
    #[error("a mesh runs as plain processes on Linux only, and this is {system}")]
    Unsupported {
        /// The system.
        system: String,
    },
    /// The process engine's state directory cannot be used.
    #[error("{} cannot be used to keep the state of processes: {reason}", directory.display())]
    State {
        /// The directory.
        directory: PathBuf,
        /// Why.
        reason: String,
    },
    /// A host port is taken.
    #[error("a host port of {container} is taken: {reason}")]
    PortTaken {
        /// The container that publishes it.
        container: String,
        /// The engine's words.
        reason: String,
    },
    /// A container's name is taken.
    #[error("the container name {name} is taken")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A container, image or network does not exist (any more).
    #[error("{what}: {reason}")]
    Missing {
        /// What was attempted.
        what: String,
        /// The engine's words.
        reason: String,
    },
    /// Anything else.
    #[error("{what}: {reason}")]
    Other {
        /// What was attempted.
        what: String,
        /// The engine's words.
        reason: String,
    },
}

impl EngineError {
    /// What the user can do about it.
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
                "remove {} or make it yours alone (chmod 700), or choose another place for it with TMPDIR",
                directory.display()
            ),
            Self::PortTaken { .. } => {
                "free the port, or choose others with FRONTEND_PORT, LB_A_PORT and LB_B_PORT".to_owned()
            }
            Self::NameTaken { name } => format!(
                "remove that container (`docker rm -f {name}`), or use another project name (-p NAME)"
            ),
            Self::Missing { .. } => {
                "something else changed the mesh meanwhile: take it down (`cargo run -p harness -- down`, with its -p \
                 NAME) and start again"
                    .to_owned()
            }
            Self::Other { .. } => "see the engine's own log for more".to_owned(),
        }
    }
}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        Self::environment(error.to_string(), error.advice())
    }
}
