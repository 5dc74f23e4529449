//! Containers, networks and images as every engine describes them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::compose::Service;

/// The sidecar's flag to stop gracefully when its standard input ends; the first word of a container's command.
pub const END_WITH_STDIN: &str = "--end-with-stdin";

/// A container to create.
#[derive(Debug, Clone)]
pub struct ContainerSpec {
    /// Its description in the Compose file.
    pub service: Service,
    /// The id of the network to attach it to.
    pub network: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it stops when the process that started it ends: that process holds its standard input open, and its
    /// command begins with [`END_WITH_STDIN`].
    pub lifeline: bool,
}

/// A container as the engine describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Its full id; the first 12 digits are its host name and its node's name.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The name of its image at its creation.
    pub image: String,
    /// Its image's id.
    pub image_id: String,
    /// The command line.
    pub command: String,
    /// Its state as one word, for instance `running`.
    pub state: String,
    /// Its state as a phrase, for instance `Up 3 seconds (healthy)`.
    pub status: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its published ports: the container's port, and the address on the host that it is bound to.
    pub ports: Vec<(u16, SocketAddr)>,
    /// The ids of the networks that it is attached to; with Docker, from its first start on.
    pub networks: Vec<String>,
    /// Its own address on its network; `None` if it is not running.
    pub address: Option<IpAddr>,
    /// Its own address, if this process reaches its ports there and not where they are published.
    pub direct: Option<IpAddr>,
}

impl Container {
    /// The first 12 digits of its id.
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    /// The value of a label; empty if there is none with this name.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// Whether it is running and not paused.
    pub fn running(&self) -> bool {
        self.state == "running"
    }

    /// Whether it has exited.
    pub fn ended(&self) -> bool {
        matches!(self.state.as_str(), "exited" | "dead")
    }

    /// Why it is not running, as the rest of a sentence that begins with its name.
    pub fn failure(&self) -> String {
        if !self.ended() {
            return format!("is not running: {}", self.status);
        }
        // The exit code is in the engine's phrase, for instance `Exited (137) 2 seconds ago`.
        let code = self
            .status
            .split_once('(')
            .and_then(|(_, rest)| rest.split_once(')'))
            .map(|(code, _)| format!(" (exit code {code})"));
        format!("has ended{}", code.unwrap_or_default())
    }

    /// The address at which this process reaches a published port of the container.
    pub fn endpoint(&self, container_port: u16) -> Option<SocketAddr> {
        let published = self.published(container_port)?;
        Some(
            self.direct
                .map_or(published, |address| SocketAddr::new(address, container_port)),
        )
    }

    /// The address on the engine's machine at which a port of the container is published.
    pub fn published(&self, container_port: u16) -> Option<SocketAddr> {
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

/// A fault of the packets that a container sends to other addresses on its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkCut {
    /// All packets to these addresses are lost.
    Block(Vec<IpAddr>),
    /// All packets are lost for a percentage of the time, in bursts of at least 20 ms.
    Lose {
        /// The percentage of the time, 0 to 100.
        percent: u8,
        /// The packets' destinations.
        addresses: Vec<IpAddr>,
    },
}

/// The memory of a process in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessMemory {
    /// The program's name.
    pub program: String,
    /// Its resident memory in KiB.
    pub resident_kib: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failure_of_a_container_names_its_exit_code_or_its_status() {
        let failure = |state: &str, status: &str| {
            let container = Container {
                state: state.to_owned(),
                status: status.to_owned(),
                ..Container::default()
            };
            container.failure()
        };
        assert_eq!(
            failure("exited", "Exited (3) 1 second ago"),
            "has ended (exit code 3)"
        );
        assert_eq!(failure("exited", "Exited"), "has ended");
        assert_eq!(
            failure("paused", "Up 2 seconds (Paused)"),
            "is not running: Up 2 seconds (Paused)"
        );
    }
}
