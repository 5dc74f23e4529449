//! The TCP addresses that this sidecar itself listens on, and which destinations lead to them.
//!
//! A connection that the sidecar makes to a listener of its own comes back to it: from a `tcp-lb` it is made again, until all
//! descriptors are used up, and a controller takes it for a local program's.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::interface::Addresses;

/// A listener of this sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnListener {
    /// What it is, for messages, such as `tcp-lb lb-a`.
    pub name: String,
    /// The address that it is bound to.
    pub address: SocketAddr,
    /// Whether it makes connections for those that it accepts.
    pub is_proxy: bool,
}

impl fmt::Display for OwnListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.address)
    }
}

/// The listeners of this sidecar. Clones share them.
#[derive(Debug, Clone)]
pub struct OwnListeners {
    addresses: Addresses,
    by_port: watch::Sender<BTreeMap<u16, Vec<OwnListener>>>,
    dropped: Arc<AtomicU64>,
}

impl Default for OwnListeners {
    fn default() -> Self {
        Self::new(Addresses::default())
    }
}

impl OwnListeners {
    /// No listeners yet, on a machine with these addresses.
    #[must_use]
    pub fn new(addresses: Addresses) -> Self {
        Self {
            addresses,
            by_port: watch::Sender::default(),
            dropped: Arc::default(),
        }
    }

    /// Adds a listener.
    pub fn add(&self, listener: OwnListener) {
        self.by_port.send_modify(|by_port| {
            by_port.entry(listener.address.port()).or_default().push(listener);
        });
    }

    /// Removes the listener with this name.
    pub fn remove(&self, name: &str) {
        self.by_port.send_modify(|by_port| {
            by_port.retain(|_, listeners| {
                listeners.retain(|listener| listener.name != name);
                !listeners.is_empty()
            });
        });
    }

    /// The listener that a connection to this address reaches.
    #[must_use]
    pub fn reached_by(&self, to: SocketAddr) -> Option<OwnListener> {
        self.find(to, |_| true)
    }

    /// As [`Self::reached_by`], if that listener makes connections for those that it accepts.
    #[must_use]
    pub fn proxy_reached_by(&self, to: SocketAddr) -> Option<OwnListener> {
        self.find(to, |listener| listener.is_proxy)
    }

    fn find(&self, to: SocketAddr, wanted: impl Fn(&OwnListener) -> bool) -> Option<OwnListener> {
        let by_port = self.by_port.borrow();
        // The interfaces are read only if the port is one of ours.
        let mut listeners = by_port.get(&to.port())?.iter();
        let found = listeners.find(|listener| wanted(listener) && self.leads(to, listener.address))?;
        Some(found.clone())
    }

    /// Whether a connection from this machine to `to` reaches a listener that is bound to `listener`.
    #[must_use]
    pub fn leads(&self, to: SocketAddr, listener: SocketAddr) -> bool {
        leads_to(to, listener, |ip| self.addresses.networks().is_local(ip))
    }

    /// Notifies of changes of the listeners and of the machine's addresses.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch {
            listeners: self.by_port.subscribe(),
            addresses: self.addresses.clone(),
        }
    }

    /// Counts instances from the mesh that were dropped, because they are at a listener of this sidecar.
    pub(crate) fn count_dropped(&self, instances: u64) {
        self.dropped.fetch_add(instances, Ordering::Relaxed);
    }

    /// Instances from the mesh that were dropped, because they were at a listener of this sidecar.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Watches the listeners and the machine's addresses.
#[derive(Debug)]
pub struct Watch {
    listeners: watch::Receiver<BTreeMap<u16, Vec<OwnListener>>>,
    addresses: Addresses,
}

impl Watch {
    /// Waits until they have changed since this was last waited for. Cancel-safe; never ends after the last listener's
    /// [`OwnListeners`] is dropped.
    pub async fn changed(&mut self) {
        tokio::select! {
            Ok(()) = self.listeners.changed() => {}
            () = self.addresses.changed() => {}
        }
    }
}

/// Whether a connection from this machine to `to` reaches a listener that is bound to `listener`. `is_local` says if this
/// machine answers for an address.
fn leads_to(to: SocketAddr, listener: SocketAddr, is_local: impl Fn(IpAddr) -> bool) -> bool {
    // A listener at port 0 gets a port of its own.
    if to.port() != listener.port() || to.port() == 0 {
        return false;
    }
    // Linux takes the unspecified address of a destination for loopback.
    let ip = match to.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    match listener.ip().to_canonical() {
        // An IPv6 socket that is bound to all addresses accepts IPv4 as well (ipv6(7), IPV6_V6ONLY).
        bound if bound.is_unspecified() => {
            (bound.is_ipv6() || ip.is_ipv4()) && (ip.is_loopback() || is_local(ip))
        }
        bound => bound == ip,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;

    fn leads(to: &str, listener: &str) -> bool {
        let own = ["10.0.0.5", "2001:db8::5"].map(|ip| ip.parse::<IpAddr>().unwrap());
        leads_to(to.parse().unwrap(), listener.parse().unwrap(), |ip| {
            own.contains(&ip)
        })
    }

    #[test]
    fn every_way_of_writing_an_address_leads_to_the_listener() {
        for (to, listener) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
            ("127.0.0.1:80", "[::ffff:127.0.0.1]:80"),
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::ffff:0.0.0.0]:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("[::1]:80", "[::]:80"),
            ("127.0.0.1:80", "[::]:80"),
            ("127.7.7.7:80", "0.0.0.0:80"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("10.0.0.5:80", "0.0.0.0:80"),
            ("[::ffff:10.0.0.5]:80", "0.0.0.0:80"),
            ("10.0.0.5:80", "[::]:80"),
            ("[2001:db8::5]:80", "[::]:80"),
        ] {
            assert!(leads(to, listener), "{to} leads to {listener}");
        }
    }

    #[test]
    fn other_addresses_lead_elsewhere() {
        for (to, listener) in [
            ("127.0.0.1:81", "127.0.0.1:80"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("127.0.0.2:80", "127.0.0.1:80"),
            ("10.0.0.5:80", "127.0.0.1:80"),
            ("10.0.0.6:80", "0.0.0.0:80"),
            ("[::1]:80", "0.0.0.0:80"),
            ("[2001:db8::6]:80", "[::]:80"),
            ("[::1]:80", "127.0.0.1:80"),
        ] {
            assert!(!leads(to, listener), "{to} does not lead to {listener}");
        }
    }

    /// What is decided is what the kernel does.
    #[test]
    fn the_kernel_agrees_about_loopback() {
        for bound in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0", "[::1]:0"] {
            // Without IPv6 there is nothing to compare.
            let Ok(listener) = TcpListener::bind(bound) else {
                continue;
            };
            let local = listener.local_addr().unwrap();
            for ip in [
                "127.0.0.1",
                "127.0.0.9",
                "0.0.0.0",
                "::",
                "::1",
                "::ffff:127.0.0.1",
            ] {
                let to = SocketAddr::new(ip.parse().unwrap(), local.port());
                let connected = TcpStream::connect_timeout(&to, Duration::from_secs(10)).is_ok();
                assert_eq!(leads_to(to, local, |_| false), connected, "{to} and {local}");
            }
        }
    }

    #[test]
    fn a_removed_listener_is_reached_no_longer() {
        let own = OwnListeners::default();
        let listener = |name: &str, is_proxy| OwnListener {
            name: name.to_owned(),
            address: "127.0.0.1:80".parse().unwrap(),
            is_proxy,
        };
        own.add(listener("controller", false));
        let to = "0.0.0.0:80".parse().unwrap();
        assert_eq!(own.reached_by(to), Some(listener("controller", false)));
        assert_eq!(own.proxy_reached_by(to), None);
        own.add(listener("lb", true));
        assert_eq!(own.proxy_reached_by(to), Some(listener("lb", true)));
        own.remove("lb");
        own.remove("controller");
        assert_eq!(own.reached_by(to), None);
    }
}
