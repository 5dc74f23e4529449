//! Failpoints: faults injected on purpose, to prove that the end-to-end tests notice them.
//!
//! Compiled in only with the cargo feature `failpoints`, which no shipped image has. `SIDECAR_FAILPOINT` then names
//! the failpoint that is active for the life of the process. Faults are injected where the parts are connected (what
//! the mesh publishes to the balancer and the status page, settings, limits), so that the parts themselves do not
//! contain them.

mod http;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rand::RngExt;
use tokio::sync::watch;

use crate::balance::service::{Instance, Instances};
use crate::balance::{Attachment, CheckOutcome, ServerGroup, ServerGroups, Tried};
use crate::mesh::{Health, NodeHealth, View};
use crate::proxy::Limits;
use crate::proxy::connect::OnFailure;

pub(crate) use http::{endpoint, is_cut, may_retry, request_backends};

/// The environment variable that names the active failpoint.
pub const VARIABLE: &str = "SIDECAR_FAILPOINT";

/// Upper bound of the turns that [`Failpoint::ThreadLocalBalancing`] skips before a connection picks its endpoint.
const MAX_SKIPPED_TURNS: u8 = 4;

/// A fault that can be injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failpoint {
    /// All servers of a group get the same share of connections.
    IgnoreWeights,
    /// A connection gives up after the first failed attempt, and the endpoint is not ejected.
    NoFailover,
    /// Neither the program nor connections get time to finish when the sidecar stops.
    SkipDrain,
    /// Instances stay in use although their node is down or their health checks fail.
    KeepDeadInstances,
    /// An instance that registers again at its IP address is connected to at its first port.
    StalePort,
    /// Nodes that have left the mesh are still listed as up.
    StaleNode,
    /// SOCKS5 clients may connect to any destination.
    AnyDestination,
    /// The sidecar stops without leaving the mesh.
    NoLeave,
    /// Connections take turns as if each worker thread balanced on its own.
    ThreadLocalBalancing,
    /// All requests of an HTTP connection but the first few go to one endpoint.
    BalanceConnections,
    /// HTTP requests go on to instances that were withdrawn.
    KeepWithdrawn,
    /// A listener that stops resets its HTTP connections, instead of announcing their end.
    UnannouncedEnd,
    /// A request is not sent again if the instance ends its connection.
    NoRetry,
    /// Whatever a datagram or a list says is believed: that a node has left, and that an instance is its node's own.
    BelieveAnything,
}

static ACTIVE: OnceLock<Failpoint> = OnceLock::new();

/// A value of the variable that names no failpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE}: unknown failpoint `{0}`, expected one of {names}", names = names())]
pub struct UnknownFailpoint(String);

fn names() -> String {
    Failpoint::ALL.map(Failpoint::name).join(", ")
}

impl Failpoint {
    const ALL: [Self; 14] = [
        Self::IgnoreWeights,
        Self::NoFailover,
        Self::SkipDrain,
        Self::KeepDeadInstances,
        Self::StalePort,
        Self::StaleNode,
        Self::AnyDestination,
        Self::NoLeave,
        Self::ThreadLocalBalancing,
        Self::BalanceConnections,
        Self::KeepWithdrawn,
        Self::UnannouncedEnd,
        Self::NoRetry,
        Self::BelieveAnything,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::IgnoreWeights => "ignore-weights",
            Self::NoFailover => "no-failover",
            Self::SkipDrain => "skip-drain",
            Self::KeepDeadInstances => "keep-dead-instances",
            Self::StalePort => "stale-port",
            Self::StaleNode => "stale-node",
            Self::AnyDestination => "any-destination",
            Self::NoLeave => "no-leave",
            Self::ThreadLocalBalancing => "thread-local-balancing",
            Self::BalanceConnections => "balance-connections",
            Self::KeepWithdrawn => "keep-withdrawn",
            Self::UnannouncedEnd => "unannounced-end",
            Self::NoRetry => "no-retry",
            Self::BelieveAnything => "believe-anything",
        }
    }

    /// Whether this failpoint is active.
    #[must_use]
    pub fn is_active(self) -> bool {
        ACTIVE.get() == Some(&self)
    }
}

/// Activates the failpoint that the environment variable names, if any, and logs a warning.
///
/// # Errors
/// When the variable names no failpoint.
pub fn activate() -> Result<(), UnknownFailpoint> {
    let Some(name) = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()) else {
        return Ok(());
    };
    let name = name.to_string_lossy();
    let failpoint = Failpoint::ALL.into_iter().find(|f| f.name() == name);
    let failpoint = failpoint.ok_or_else(|| UnknownFailpoint(name.into_owned()))?;
    tracing::warn!("FAILPOINT ACTIVE: {} ({VARIABLE})", failpoint.name());
    // Called once, before anything else runs.
    let _ = ACTIVE.set(failpoint);
    Ok(())
}

/// The time that the program or connections get to finish: none with [`Failpoint::SkipDrain`].
pub(crate) fn grace(configured: Duration) -> Duration {
    if Failpoint::SkipDrain.is_active() {
        Duration::ZERO
    } else {
        configured
    }
}

/// The limits of all listeners: one attempt for each connection with [`Failpoint::NoFailover`].
pub(crate) fn limits(limits: Limits) -> Limits {
    Limits {
        on_connect_failure: on_connect_failure(limits.on_connect_failure),
        ..limits
    }
}

/// What a request does if its endpoint does not accept a connection: nothing more with [`Failpoint::NoFailover`].
pub(crate) fn on_connect_failure(configured: OnFailure) -> OnFailure {
    if Failpoint::NoFailover.is_active() {
        OnFailure::GiveUp
    } else {
        configured
    }
}

/// Whether SOCKS5 clients may connect to destinations that are not backends.
pub(crate) fn allow_non_backend(allowed: bool) -> bool {
    allowed || Failpoint::AnyDestination.is_active()
}

/// The outcome of a health check: passed with [`Failpoint::KeepDeadInstances`].
pub(crate) fn check_outcome(outcome: CheckOutcome) -> CheckOutcome {
    if Failpoint::KeepDeadInstances.is_active() {
        CheckOutcome::Passed
    } else {
        outcome
    }
}

/// Whether a sidecar that stops leaves the mesh.
pub(crate) fn leaves() -> bool {
    !Failpoint::NoLeave.is_active()
}

/// The backends that a new connection picks from.
pub(crate) fn backends(groups: Arc<ServerGroups>) -> Arc<ServerGroups> {
    if Failpoint::IgnoreWeights.is_active() {
        return with_equal_weights(&groups);
    }
    if Failpoint::ThreadLocalBalancing.is_active() {
        skip_turns(&groups);
    }
    groups
}

/// Copies of the groups in which all servers that are up have the same weight. Listings still show the real weights.
fn with_equal_weights(groups: &ServerGroups) -> Arc<ServerGroups> {
    static COPIES: Mutex<BTreeMap<String, Arc<ServerGroup>>> = Mutex::new(BTreeMap::new());
    copies(&COPIES, groups, |group, copy| {
        let up = group.servers().into_iter().filter(|server| server.up);
        copy.set_learned(up.map(|s| (s.name, s.address, s.weight.min(1))).collect());
    })
}

/// The groups, with a copy of each in its place that `update` brings up to date.
fn copies(
    kept: &Mutex<BTreeMap<String, Arc<ServerGroup>>>,
    groups: &ServerGroups,
    mut update: impl FnMut(&ServerGroup, &Arc<ServerGroup>),
) -> Arc<ServerGroups> {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let copied = ServerGroups::new(groups.name());
    for Attachment { group, weight } in groups.groups() {
        let copy = kept
            .entry(group.name().to_owned())
            .or_insert_with(|| ServerGroup::new(group.name(), group.check_config(), group.method()));
        update(&group, copy);
        // The names are those of a set, and so are unique.
        let _ = copied.attach(Arc::clone(copy), weight);
    }
    copied
}

/// Skips a random number of turns in each group, as if other threads' connections had not been counted.
fn skip_turns(groups: &ServerGroups) {
    for attachment in groups.groups() {
        for _ in 0..rand::rng().random_range(0..MAX_SKIPPED_TURNS) {
            attachment
                .group
                .pick(IpAddr::V4(Ipv4Addr::UNSPECIFIED), &Tried::new(Instant::now()));
        }
    }
}

/// The instances that the mesh publishes to the balancer.
pub(crate) fn instances(from: watch::Receiver<Arc<Instances>>) -> watch::Receiver<Arc<Instances>> {
    if Failpoint::StalePort.is_active() {
        let mut first_ports: BTreeMap<IpAddr, u16> = BTreeMap::new();
        map(from, move |mut now| {
            for Instance { address, .. } in now.offered.values_mut().flatten() {
                let port = *first_ports.entry(address.ip()).or_insert(address.port());
                *address = SocketAddr::new(address.ip(), port);
            }
            now
        })
    } else if Failpoint::KeepDeadInstances.is_active() {
        map(from, |mut now| {
            for (id, instances) in std::mem::take(&mut now.last_choice) {
                let instances = instances.into_iter().map(|(instance, _)| instance);
                now.offered.entry(id).or_default().extend(instances);
            }
            now
        })
    } else {
        from
    }
}

/// The view that the mesh publishes to the status page: with [`Failpoint::StaleNode`], of every node that has ever been up.
pub(crate) fn view(from: watch::Receiver<Arc<View>>) -> watch::Receiver<Arc<View>> {
    if !Failpoint::StaleNode.is_active() {
        return from;
    }
    let mut ever_up: Vec<NodeHealth> = Vec::new();
    map(from, move |mut now| {
        let known: BTreeSet<_> = now.nodes.iter().map(|known| known.node.clone()).collect();
        let gone = ever_up.iter().filter(|stale| !known.contains(&stale.node));
        let gone: Vec<NodeHealth> = gone.cloned().collect();
        let up = now.nodes.iter().filter(|node| node.health == Health::Up);
        let new = up.filter(|node| ever_up.iter().all(|stale| stale.node != node.node));
        let new: Vec<NodeHealth> = new.cloned().collect();
        ever_up.extend(new);
        now.nodes.extend(gone);
        now
    })
}

/// Follows a watched value; each version is passed through `change`.
fn map<T: Clone + Send + Sync + 'static>(
    mut from: watch::Receiver<Arc<T>>,
    mut change: impl FnMut(T) -> T + Send + 'static,
) -> watch::Receiver<Arc<T>> {
    let mut next = move |from: &mut watch::Receiver<Arc<T>>| {
        let now = T::clone(&from.borrow_and_update());
        Arc::new(change(now))
    };
    let (sender, mapped) = watch::channel(next(&mut from));
    // Detached: ends with the mesh, which holds the other sender.
    tokio::spawn(async move {
        while from.changed().await.is_ok() {
            sender.send_replace(next(&mut from));
        }
    });
    mapped
}
