//! Nodes on loopback addresses, and conditions to wait for.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sidecar::balance::service::{Instance, Offer, ServiceId};
use sidecar::mesh::DiscoverySettings;
use sidecar::mesh::Mesh;
use sidecar::mesh::protocol::Config;
use tokio::sync::watch;

const DEADLINE: Duration = Duration::from_secs(20);

/// A network of sixteen loopback addresses that no other test uses, and a port free on it.
pub(crate) struct Subnet {
    base: u32,
    pub(crate) port: u16,
}

pub(crate) struct Started {
    pub(crate) mesh: Mesh,
    pub(crate) offers: watch::Sender<Vec<Offer>>,
}

impl Subnet {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let test = NEXT.fetch_add(1, Ordering::Relaxed);
        // 127.64.0.0/10: one /20 a process, one /28 a test.
        let base = (127 << 24) | (1 << 22) | ((std::process::id() % 1024) << 12) | ((test % 256) << 4);
        Self {
            base,
            port: free_port(),
        }
    }

    pub(crate) fn address(&self, host: u32) -> IpAddr {
        Ipv4Addr::from_bits(self.base + host).into()
    }

    pub(crate) fn config(&self, host: u32) -> DiscoverySettings {
        DiscoverySettings {
            address: Some(self.address(host)),
            udp_sock_port: 0,
            udp_port: self.port,
            tcp_port: self.port,
            search_mask: 28,
            search_min_udp_port: self.port,
            search_max_udp_port: self.port,
            ..DiscoverySettings::default()
        }
    }

    pub(crate) async fn start(&self, host: u32, offers: Vec<Offer>) -> Started {
        self.start_named(host, &format!("node{host}"), offers).await
    }

    pub(crate) async fn start_named(&self, host: u32, name: &str, offers: Vec<Offer>) -> Started {
        self.start_with(host, name, offers, Config::default()).await
    }

    pub(crate) async fn start_with(
        &self,
        host: u32,
        name: &str,
        offers: Vec<Offer>,
        timing: Config,
    ) -> Started {
        Self::start_configured(self.config(host), name, offers, timing).await
    }

    /// A node that offers an instance of the service a, with the mesh key in this file.
    pub(crate) async fn start_keyed(&self, host: u32, key_file: &Path) -> Started {
        let mut settings = self.config(host);
        settings.key_file = Some(key_file.to_owned());
        let offers = vec![offer("a", self.address(host), 8000, 10)];
        Self::start_configured(settings, &format!("node{host}"), offers, Config::default()).await
    }

    async fn start_configured(
        settings: DiscoverySettings,
        name: &str,
        offers: Vec<Offer>,
        timing: Config,
    ) -> Started {
        let (offers, receiver) = watch::channel(offers);
        let mesh = Mesh::start_with(settings, name, receiver, timing).await.unwrap();
        Started { mesh, offers }
    }
}

/// A port that is free on every address, for both protocols.
fn free_port() -> u16 {
    loop {
        let tcp = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        if std::net::UdpSocket::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

pub(crate) fn offer(service: &str, ip: IpAddr, port: u16, weight: u32) -> Offer {
    Offer {
        id: ServiceId {
            service: format!("my-service-{service}"),
            zone: "example".to_owned(),
        },
        instance: Instance {
            address: SocketAddr::new(ip, port),
            weight,
            at_node: true,
        },
    }
}

/// Waits until the watched value meets a condition.
pub(crate) async fn eventually_in<T: std::fmt::Debug>(
    watched: &mut watch::Receiver<Arc<T>>,
    what: &str,
    wanted: impl Fn(&T) -> bool,
) {
    let seen = tokio::time::timeout(DEADLINE, watched.wait_for(|value| wanted(value)))
        .await
        .is_ok();
    assert!(
        seen,
        "not within {DEADLINE:?}: {what}; last seen: {:#?}",
        watched.borrow()
    );
}

/// Polls until a condition holds.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let polling = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let held = tokio::time::timeout(DEADLINE, polling).await.is_ok();
    assert!(held, "not within {DEADLINE:?}: {what}");
}

/// As [`eventually`], for an asynchronous condition.
pub(crate) async fn eventually_async(what: &str, holds: impl AsyncFn() -> bool) {
    let polling = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let held = tokio::time::timeout(DEADLINE, polling).await.is_ok();
    assert!(held, "not within {DEADLINE:?}: {what}");
}
