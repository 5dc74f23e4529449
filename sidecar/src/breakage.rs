//! Faults on purpose, for the proof that the end-to-end tests notice them: with the cargo feature `breakable`, which no
//! image that is shipped has, `SIDECAR_BREAK` names one at the start. Without the feature nothing is ever broken.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::RngExt;

/// The variable that names the fault.
pub const VARIABLE: &str = "SIDECAR_BREAK";

/// One thing that can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breakage {
    /// All servers of a group get the same share.
    IgnoreWeights,
    /// A server that cannot be connected to is neither passed over nor avoided from then on.
    NoFailover,
    /// The program and the connections get no time to finish when the sidecar stops.
    SkipDrain,
    /// Nodes, instances and servers that do not answer stay in use.
    KeepDeadInstances,
    /// An instance that registers anew at its address is connected to at its first port.
    StalePort,
    /// Nodes that are gone for good are told as up.
    GhostNode,
    /// SOCKS5 clients may go anywhere.
    AnyDestination,
    /// The mesh is left without a word.
    NoLeave,
    /// Each worker thread has turns of its own.
    ThreadLocalTurns,
}

/// Whether this was broken on purpose.
#[cfg(not(feature = "breakable"))]
#[inline(always)]
#[must_use]
pub const fn broken(_: Breakage) -> bool {
    false
}

#[cfg(feature = "breakable")]
pub use chosen::{UnknownBreakage, broken, choose};

/// What was chosen.
#[cfg(feature = "breakable")]
mod chosen {
    use std::sync::OnceLock;

    use super::{Breakage, VARIABLE};

    static CHOSEN: OnceLock<Breakage> = OnceLock::new();

    /// Whether this was broken on purpose.
    #[must_use]
    pub fn broken(breakage: Breakage) -> bool {
        CHOSEN.get() == Some(&breakage)
    }

    /// A word that names nothing that can be broken.
    #[derive(Debug, thiserror::Error)]
    #[error("{VARIABLE}: `{0}` cannot be broken; expected one of {known}", known = known())]
    pub struct UnknownBreakage(String);

    fn known() -> String {
        Breakage::ALL.map(Breakage::name).join(", ")
    }

    /// Breaks what the environment names, if it names anything, for as long as the process lives, and warns of it.
    ///
    /// # Errors
    /// When it names something else.
    pub fn choose() -> Result<(), UnknownBreakage> {
        let Some(word) = std::env::var_os(VARIABLE).filter(|word| !word.is_empty()) else {
            return Ok(());
        };
        let word = word.to_string_lossy();
        let breakage = Breakage::ALL.into_iter().find(|b| b.name() == word);
        let breakage = breakage.ok_or_else(|| UnknownBreakage(word.into_owned()))?;
        tracing::warn!("BROKEN ON PURPOSE: {} ({VARIABLE})", breakage.name());
        // Chosen once, before anything runs.
        let _ = CHOSEN.set(breakage);
        Ok(())
    }

    impl Breakage {
        const ALL: [Self; 9] = [
            Self::IgnoreWeights,
            Self::NoFailover,
            Self::SkipDrain,
            Self::KeepDeadInstances,
            Self::StalePort,
            Self::GhostNode,
            Self::AnyDestination,
            Self::NoLeave,
            Self::ThreadLocalTurns,
        ];

        fn name(self) -> &'static str {
            match self {
                Self::IgnoreWeights => "ignore-weights",
                Self::NoFailover => "no-failover",
                Self::SkipDrain => "skip-drain",
                Self::KeepDeadInstances => "keep-dead-instances",
                Self::StalePort => "stale-port",
                Self::GhostNode => "ghost-node",
                Self::AnyDestination => "any-destination",
                Self::NoLeave => "no-leave",
                Self::ThreadLocalTurns => "thread-local-turns",
            }
        }
    }
}

/// The time that is given to finish in, or with [`Breakage::SkipDrain`] none.
pub(crate) fn time_to_finish(given: Duration) -> Duration {
    if broken(Breakage::SkipDrain) {
        Duration::ZERO
    } else {
        given
    }
}

/// The address of an instance, or with [`Breakage::StalePort`] that with the first port ever seen at its IP address.
pub(crate) fn stale_port(address: SocketAddr) -> SocketAddr {
    static FIRST: Mutex<BTreeMap<IpAddr, u16>> = Mutex::new(BTreeMap::new());
    if !broken(Breakage::StalePort) {
        return address;
    }
    let mut first = FIRST.lock().unwrap_or_else(PoisonError::into_inner);
    let port = first.entry(address.ip()).or_insert(address.port());
    SocketAddr::new(address.ip(), *port)
}

/// Takes a turn; with [`Breakage::ThreadLocalTurns`] on the account of one of a few workers, whichever chance gives the
/// connection to. `place` says who somebody is and what they have gained.
pub(crate) fn turn<T, R>(
    all: &mut [T],
    place: impl Fn(&mut T) -> (usize, &mut i64),
    take: impl FnOnce(&mut [T]) -> R,
) -> R {
    /// Chance alone decides, so that it shows however few threads there are and however idle they are.
    const WORKERS: u8 = 4;
    static ACCOUNTS: Mutex<BTreeMap<(u8, usize), i64>> = Mutex::new(BTreeMap::new());
    if !broken(Breakage::ThreadLocalTurns) {
        return take(all);
    }
    let mut accounts = ACCOUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let worker = rand::rng().random_range(0..WORKERS);
    for one in &mut *all {
        let (who, gained) = place(one);
        *gained = accounts.get(&(worker, who)).copied().unwrap_or_default();
    }
    let taken = take(all);
    for one in all {
        let (who, gained) = place(one);
        accounts.insert((worker, who), *gained);
    }
    taken
}
