//! File descriptors: the limit of open files, and the budget that all parts of the process share.
//!
//! | share of the limit | who takes from it |
//! |---|---|
//! | all except the reserve | relayed connections, two each; listening sockets; pipes of long flows |
//! | all except half of the reserve | connections to the controllers, the status listener and the exchange server, and those kept to peers, as well |
//! | all | health checks, exchanges with peers, name lookups, files as well |
//!
//! So listeners that are full leave room for control and checks, and neither can take the last descriptors from health
//! checks and discovery. A connection for which nothing is left waits in the kernel's backlog.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Instant;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::limit_spell::LimitSpell;

/// Descriptors of a relayed connection: one to the client, one to the instance.
pub(crate) const PER_CONNECTION: u32 = 2;

/// The reserve is a quarter of the limit, within these bounds. Higher keeps more peers and checks apart from a flood of
/// connections; lower relays more of them.
const RESERVE: RangeInclusive<usize> = 64..=256;

/// Health checks at once: a sixteenth of the limit, within these bounds. Servers that do not answer hold theirs until the
/// timeout; higher checks more of them at the same time.
const CHECKS: RangeInclusive<usize> = 16..=1024;

/// Health checks that wait only for others of their kind, so that dead addresses delay neither the checks of servers that are
/// up nor those of new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckLane {
    /// The server is up. Half of the checks at once.
    Up,
    /// The server has not been checked yet. A quarter.
    First,
    /// The server is not up. A quarter.
    Down,
}

impl CheckLane {
    const ALL: [Self; 3] = [Self::Up, Self::First, Self::Down];

    /// Its share of a number of checks.
    const fn share(self, checks: usize) -> usize {
        match self {
            Self::Up => checks / 2,
            Self::First | Self::Down => checks / 4,
        }
    }
}

/// The budget of this process.
pub(crate) static BUDGET: Budget = Budget::unlimited();

/// A budget of descriptors.
#[derive(Debug)]
pub(crate) struct Budget {
    /// What relayed connections may take.
    relayed: Semaphore,
    /// What they and connections to the sidecar itself may take together.
    inbound: Semaphore,
    /// Health checks at once, by lane.
    checks: [Semaphore; CheckLane::ALL.len()],
    /// Its use by relayed connections.
    used_up: LimitSpell,
}

/// Descriptors taken from a budget, returned when dropped.
#[derive(Debug)]
pub(crate) struct Descriptors {
    _inbound: SemaphorePermit<'static>,
    _relayed: Option<SemaphorePermit<'static>>,
}

impl Budget {
    /// A budget without limits, until [`Budget::limit_to`].
    const fn unlimited() -> Self {
        Self {
            relayed: Semaphore::const_new(Semaphore::MAX_PERMITS),
            inbound: Semaphore::const_new(Semaphore::MAX_PERMITS),
            checks: [
                Semaphore::const_new(CheckLane::Up.share(*CHECKS.end())),
                Semaphore::const_new(CheckLane::First.share(*CHECKS.end())),
                Semaphore::const_new(CheckLane::Down.share(*CHECKS.end())),
            ],
            used_up: LimitSpell::new(),
        }
    }

    /// Divides what is left of a limit of open files, of which `open` are open already. What was taken before is among
    /// those, and adds to what is left when it is returned.
    pub(crate) fn limit_to(&self, limit: u64, open: u64) {
        let free = usize::try_from(limit.saturating_sub(open)).unwrap_or(usize::MAX);
        let part = |of: u64, bounds: RangeInclusive<usize>| {
            let part = usize::try_from(limit / of).unwrap_or(usize::MAX);
            part.clamp(*bounds.start(), *bounds.end())
        };
        let reserve = part(4, RESERVE);
        let shrink = |share: &Semaphore, size: usize| {
            share.forget_permits(share.available_permits().saturating_sub(size));
        };
        // One connection at least, however low the limit is.
        let least = PER_CONNECTION as usize;
        shrink(&self.relayed, free.saturating_sub(reserve).max(least));
        shrink(&self.inbound, free.saturating_sub(reserve / 2).max(least));
        for lane in CheckLane::ALL {
            shrink(&self.checks[lane as usize], lane.share(part(16, CHECKS)));
        }
    }

    /// Waits until a connection can be relayed.
    pub(crate) async fn relayed(&'static self) -> Descriptors {
        if let Some(taken) = self.try_relayed(PER_CONNECTION) {
            return taken;
        }
        if self.used_up.reached(Instant::now()) {
            tracing::warn!(
                limit = getrlimit(Resource::Nofile).current,
                "all file descriptors for connections are in use: further connections wait until others end; raise the \
                 limit of open files (ulimit -n)"
            );
        }
        loop {
            // Neither is ever closed.
            let relayed = self.relayed.acquire_many(PER_CONNECTION).await;
            let inbound = self.inbound.acquire_many(PER_CONNECTION).await;
            if let (Ok(relayed), Ok(inbound)) = (relayed, inbound) {
                return Descriptors {
                    _inbound: inbound,
                    _relayed: Some(relayed),
                };
            }
        }
    }

    /// How often a connection waited for descriptors.
    pub(crate) fn times_used_up(&self) -> u64 {
        self.used_up.count()
    }

    /// Takes descriptors for relaying, if they are left.
    pub(crate) fn try_relayed(&'static self, count: u32) -> Option<Descriptors> {
        let relayed = self.relayed.try_acquire_many(count).ok()?;
        let inbound = self.inbound.try_acquire_many(count).ok()?;
        Some(Descriptors {
            _inbound: inbound,
            _relayed: Some(relayed),
        })
    }

    /// Waits until a connection to the sidecar itself can be accepted.
    pub(crate) async fn inbound(&'static self) -> Descriptors {
        loop {
            // Never closed.
            if let Ok(inbound) = self.inbound.acquire().await {
                return Descriptors {
                    _inbound: inbound,
                    _relayed: None,
                };
            }
        }
    }

    /// As [`Budget::inbound`], if one is left now.
    pub(crate) fn try_inbound(&'static self) -> Option<Descriptors> {
        let inbound = self.inbound.try_acquire().ok()?;
        Some(Descriptors {
            _inbound: inbound,
            _relayed: None,
        })
    }

    /// Waits for a health check's turn. `None` never: only a closed budget has none.
    pub(crate) async fn check(&'static self, lane: CheckLane) -> Option<SemaphorePermit<'static>> {
        self.checks[lane as usize].acquire().await.ok()
    }
}

/// Number of open descriptors: the directory's size since Linux 6.2 (proc_pid_fd(5)); with older kernels, the number
/// of its entries.
pub(crate) fn open_files() -> Option<u64> {
    let directory = Path::new("/proc/self/fd");
    match directory.metadata().ok()?.len() {
        0 => Some(directory.read_dir().ok()?.count() as u64),
        known => Some(known),
    }
}

/// The limit of open files (RLIMIT_NOFILE) of this process, as raised.
#[derive(Debug)]
pub struct OpenFiles {
    raised: Rlimit,
}

impl OpenFiles {
    /// Raises this process's soft limit to its hard limit, if the system allows it.
    pub fn raise() -> Self {
        let inherited = getrlimit(Resource::Nofile);
        let highest = Rlimit {
            current: inherited.maximum,
            maximum: inherited.maximum,
        };
        let raised = if set(&highest) { highest } else { inherited };
        Self { raised }
    }

    /// The current limit; [`u64::MAX`] if there is none.
    pub fn limit(&self) -> u64 {
        self.raised.current.unwrap_or(u64::MAX)
    }
}

fn set(limit: &Rlimit) -> bool {
    let set = setrlimit(Resource::Nofile, *limit);
    if let Err(error) = &set {
        tracing::warn!(%error, "cannot change the limit of open files");
    }
    set.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(limit: u64, open: u64) -> &'static Budget {
        let budget = Box::leak(Box::new(Budget::unlimited()));
        budget.limit_to(limit, open);
        budget
    }

    /// As many as there are.
    fn all<T>(take: impl Fn() -> Option<T>) -> Vec<T> {
        std::iter::from_fn(take).take(100_000).collect()
    }

    #[test]
    fn relayed_connections_leave_the_reserve_and_control_leaves_half_of_it() {
        let budget = budget(256, 20);
        let relayed = all(|| budget.try_relayed(PER_CONNECTION));
        assert_eq!(relayed.len(), (256 - 20 - 64) / 2);
        let control = all(|| budget.try_inbound());
        assert_eq!(control.len(), 32);
        drop(control);
        drop(relayed);
        assert_eq!(all(|| budget.try_inbound()).len(), 256 - 20 - 32);
    }

    #[test]
    fn connections_to_the_sidecar_reduce_what_is_relayed_only_beyond_their_share() {
        let budget = budget(256, 20);
        let control: Vec<_> = (0..32).map(|_| budget.try_inbound()).collect();
        assert_eq!(all(|| budget.try_relayed(2)).len(), (256 - 20 - 64) / 2);
        drop(control);
        let _control: Vec<_> = (0..52).map(|_| budget.try_inbound()).collect();
        assert_eq!(all(|| budget.try_relayed(2)).len(), (256 - 20 - 64 - 20) / 2);
    }

    #[test]
    fn the_lowest_limit_still_relays_one_connection() {
        let budget = budget(40, 30);
        assert_eq!(all(|| budget.try_relayed(2)).len(), 1);
    }

    #[test]
    fn a_high_limit_is_relayed_except_for_a_small_reserve() {
        let budget = budget(20_000, 40);
        assert_eq!(all(|| budget.try_relayed(2)).len(), (20_000 - 40 - 256) / 2);
    }

    #[tokio::test]
    async fn a_connection_waits_until_another_ends() {
        let budget = budget(100, 34);
        let held = budget.relayed().await;
        let mut waiting = std::pin::pin!(budget.relayed());
        let polled = futures_poll(waiting.as_mut());
        assert!(polled.is_none(), "there was one more");
        drop(held);
        waiting.await;
    }

    fn futures_poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.poll(&mut context) {
            std::task::Poll::Ready(done) => Some(done),
            std::task::Poll::Pending => None,
        }
    }
}
