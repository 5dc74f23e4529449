//! Errors of engines, with advice for the user.

use std::path::PathBuf;

use crate::error::Error;
use crate::invocation::command_line;

/// Why an operation of an engine failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// No engine that can be used answers at an address.
    #[error("no Docker engine answers at {address}: {reason}")]
    NoEngine {
        /// The address.
        address: String,
        /// The connection's error, or what answers.
        reason: String,
        /// Advice for the user.
        advice: String,
    },
    /// What the docker program would be told about its engine names none.
    #[error("{what}")]
    Settings {
        /// The variable or file, and what is wrong with it.
        what: String,
    },
    /// The engine runs on another machine, where this process does not reach a mesh's ports.
    #[error(
        "the Docker engine at {address} runs on another machine, whose ports on 127.0.0.1 are out of reach"
    )]
    Remote {
        /// The engine's address.
        address: String,
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
            Self::NoEngine { advice, .. } => advice.clone(),
            Self::NoSocket { .. } => {
                "start Docker (for instance `sudo systemctl start docker`, or Docker Desktop), or choose another engine \
                 with DOCKER_HOST (unix:///path/to/docker.sock, tcp://HOST:PORT, ssh://HOST) or DOCKER_CONTEXT"
                    .to_owned()
            }
            Self::Settings { .. } => "choose another context (`docker context ls`, `docker context use NAME`), or set \
                                      DOCKER_HOST to unix:///path/to/docker.sock, tcp://HOST:PORT or ssh://USER@HOST"
                .to_owned(),
            Self::Remote { .. } => "run the harness on that machine, or choose an engine of this one with \
                                    DOCKER_HOST=unix:///var/run/docker.sock; projects of your own run there (-f FILE)"
                .to_owned(),
            Self::Denied { socket } => format!(
                "add yourself to the group that owns {socket} (`sudo usermod -aG docker $USER`, then log in again), or \
                 use rootless Docker"
            ),
            Self::State { directory, .. } => format!(
                "remove {} or make it yours alone (chmod 700), or choose another directory with TMPDIR",
                directory.display()
            ),
            Self::PortTaken { .. } => {
                "free the port, or choose another one with its variable, such as FRONTEND_PORT".to_owned()
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
