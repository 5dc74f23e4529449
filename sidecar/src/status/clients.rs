//! The clients that the status listener answers.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::StatusCode;
use ipnet::IpNet;

use crate::http::{self, Answer};

/// The clients that the status listener answers: all, or those of the listed networks and of loopback, where the health
/// check of a container comes from.
#[derive(Debug, Clone, Default)]
pub struct Clients(Arc<[IpNet]>);

impl Clients {
    /// The clients of these networks; of an empty list, all.
    #[must_use]
    pub fn of(networks: Vec<IpNet>) -> Self {
        Self(networks.into())
    }

    /// Whether a client at this address is answered.
    #[must_use]
    pub fn contains(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        self.0.is_empty() || client.is_loopback() || self.0.iter().any(|network| network.contains(&client))
    }
}

/// The answer to any other client.
pub(super) fn refused(client: IpAddr) -> Answer {
    let client = client.to_canonical();
    http::text(
        StatusCode::FORBIDDEN,
        format!("{client} is in no network that --status-clients lists\n"),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

    use super::*;

    #[test]
    fn clients_of_the_listed_networks_and_of_loopback_are_answered() {
        let networks = ["192.0.2.0/24", "2001:db8::/32"].map(|network| network.parse().unwrap());
        let clients = Clients::of(networks.to_vec());
        for client in [
            "192.0.2.7",
            "::ffff:192.0.2.7",
            "2001:db8::1",
            "127.0.0.1",
            "::1",
            "::ffff:127.0.0.1",
        ] {
            assert!(clients.contains(client.parse().unwrap()), "{client}");
        }
        for client in ["192.0.3.7", "::ffff:192.0.3.7", "2001:db9::1", "::192.0.2.7"] {
            assert!(!clients.contains(client.parse().unwrap()), "{client}");
        }
        assert!(Clients::default().contains("198.51.100.1".parse().unwrap()));
    }
}
