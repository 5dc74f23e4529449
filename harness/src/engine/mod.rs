//! What runs the mesh's containers, in terms that do not depend on which engine it is. `docker` is the only
//! module that names bollard.

mod any;
pub mod docker;
mod event;
mod logs;
pub mod owner;
pub(crate) mod proc_stat;
pub mod process;
mod select;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

pub use any::Engine;
pub use docker::Docker;
pub use event::{Action, Event};
pub use logs::LogLine;
pub use process::Processes;
pub use select::{EngineChoice, Selected, no_mesh};

use crate::compose::Service;

/// Labels that the harness finds its own by.
pub mod label {
    /// The Compose project that a container or network belongs to.
    pub const PROJECT: &str = "com.docker.compose.project";
    /// The service's key in the Compose file.
    pub const SERVICE: &str = "com.docker.compose.service";
    /// The mesh that it was made for: unique to one start of one mesh.
    pub const RUN: &str = "service-mesh.run";
    /// Who the mesh belongs to, see [`crate::engine::owner::Owner`].
    pub const OWNER: &str = "service-mesh.owner";
    /// On an image: the digest of all that went into it.
    pub const DIGEST: &str = "service-mesh.digest";
}

/// The flag, first in a container's command, that makes its sidecar stop gracefully when its standard input ends.
pub const END_WITH_STDIN: &str = "--end-with-stdin";

/// A container to make.
#[derive(Debug)]
pub struct Creation<'a> {
    /// Its description.
    pub service: &'a Service,
    /// The id of the network to attach it to.
    pub network: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
    /// Whether it ends with the process that started it: that process holds its standard input open, and
    /// [`END_WITH_STDIN`] comes first in its command.
    pub lifeline: bool,
}

/// A container as the engine describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Its whole id; the first 12 digits are its host name and its node's name.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The image it was made from, as it was named then.
    pub image: String,
    /// That image's id.
    pub image_id: String,
    /// The command line.
    pub command: String,
    /// Its state in a word, for instance `running`.
    pub state: String,
    /// Its state as a phrase, for instance `Up 3 seconds (healthy)`.
    pub status: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its published ports: the container's port and where it is bound on the host.
    pub ports: Vec<(u16, SocketAddr)>,
    /// Its own address on its network; none while it does not run.
    pub address: Option<IpAddr>,
}

impl Container {
    /// The first 12 digits of its id.
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    /// One of its labels, empty where it lacks it.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// Whether it runs.
    pub fn running(&self) -> bool {
        self.state == "running"
    }

    /// Whether it ran and does no more.
    pub fn ended(&self) -> bool {
        matches!(self.state.as_str(), "exited" | "dead")
    }

    /// What became of a container that should run and does not, to follow its name.
    pub fn plight(&self) -> String {
        if !self.ended() {
            return format!("is not running: {}", self.status);
        }
        // The exit code stands in the engine's phrase, for instance `Exited (137) 2 seconds ago`.
        let code = self
            .status
            .split_once('(')
            .and_then(|(_, rest)| rest.split_once(')'))
            .map(|(code, _)| format!(" (exit code {code})"));
        format!("has ended{}", code.unwrap_or_default())
    }

    /// Where a port of the container is reached from this machine.
    pub fn endpoint(&self, container_port: u16) -> Option<SocketAddr> {
        let (_, bound) = self
            .ports
            .iter()
            .find(|(port, bound)| *port == container_port && bound.is_ipv4())?;
        let ip = if bound.ip().is_unspecified() {
            IpAddr::from([127, 0, 0, 1])
        } else {
            bound.ip()
        };
        Some(SocketAddr::new(ip, bound.port()))
    }
}

/// A network as the engine describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its id.
    pub id: String,
    /// Its name, which is not unique.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// An image as the engine describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its id.
    pub id: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its size in bytes.
    pub size: u64,
}

/// What is done to the packets that a container sends to some addresses on its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkCut {
    /// None arrives.
    Block(Vec<IpAddr>),
    /// None arrives for a share of the time, in bursts of some 20 ms.
    Lose {
        /// The share in percent, 0 to 100.
        percent: u8,
        /// Where they are sent to.
        addresses: Vec<IpAddr>,
    },
}

/// A process in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessUse {
    /// The program's name.
    pub program: String,
    /// Its resident memory in KiB.
    pub resident_kib: u64,
}

/// Why the engine did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// Nothing answers at the engine's socket.
    #[error("no Docker engine answers at {socket}: {reason}")]
    NoEngine {
        /// Where it was looked for.
        socket: String,
        /// What happened instead.
        reason: String,
    },
    /// This machine has no engine's socket where one usually is, and none was named.
    #[error("no Docker engine answers at {socket}: there is no such socket")]
    NoSocket {
        /// Where one usually is.
        socket: String,
    },
    /// The engine's socket may not be opened by this user.
    #[error("this user may not use the Docker engine at {socket}")]
    Denied {
        /// The socket.
        socket: String,
    },
    /// What would need a network between containers.
    #[error("processes on this machine's loopback addresses cannot be cut from each other")]
    CannotCut,
    /// This system cannot run a mesh as processes.
    #[error("a mesh runs as plain processes on Linux only, and this is {system}")]
    Unsupported {
        /// The system.
        system: String,
    },
    /// The directory that the state of processes is kept in cannot be used.
    #[error("{} cannot be used to keep the state of processes: {reason}", directory.display())]
    State {
        /// The directory.
        directory: PathBuf,
        /// Why.
        reason: String,
    },
    /// A host port is taken.
    #[error("a host port of {container} is taken: {reason}")]
    PortHeld {
        /// The container that was to get it.
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
    /// What was named does not exist (any more).
    #[error("{what}: {reason}")]
    Missing {
        /// What was attempted.
        what: String,
        /// The engine's words.
        reason: String,
    },
    /// Anything else.
    #[error("{what}: {reason}")]
    Engine {
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
            Self::CannotCut => "use Docker (--runtime docker)".to_owned(),
            Self::NoEngine { .. } | Self::NoSocket { .. } => {
                "start Docker (for instance `sudo systemctl start docker`, or Docker Desktop), or \
                                      point DOCKER_HOST at its socket (unix:///path/to/docker.sock)"
                    .to_owned()
            }
            Self::Denied { socket } => format!(
                "add yourself to the group that owns {socket} (`sudo usermod -aG docker $USER`, then log in again), or \
                 use rootless Docker"
            ),
            Self::Unsupported { .. } => "use Docker (--runtime docker)".to_owned(),
            Self::State { directory, .. } => format!(
                "remove {} or make it yours alone (chmod 700), or choose another place for it with TMPDIR",
                directory.display()
            ),
            Self::PortHeld { .. } => {
                "free the port, or choose others with FRONTEND_PORT, LB_A_PORT and LB_B_PORT".to_owned()
            }
            Self::NameTaken { name } => {
                format!(
                    "remove that container (`docker rm -f {name}`), or use another project name (-p NAME)"
                )
            }
            Self::Missing { .. } => {
                "something else changed the mesh meanwhile: take it down (`cargo run -p harness -- down`, with its -p NAME) and start again"
                    .to_owned()
            }
            Self::Engine { .. } => "see the engine's own log for more".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_that_does_not_run_says_what_became_of_it() {
        let plight = |state: &str, status: &str| {
            let container = Container {
                state: state.to_owned(),
                status: status.to_owned(),
                ..Container::default()
            };
            container.plight()
        };
        assert_eq!(
            plight("exited", "Exited (3) 1 second ago"),
            "has ended (exit code 3)"
        );
        assert_eq!(plight("exited", "Exited"), "has ended");
        assert_eq!(
            plight("paused", "Up 2 seconds (Paused)"),
            "is not running: Up 2 seconds (Paused)"
        );
    }
}
