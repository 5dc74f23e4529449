//! Active health checks of a group's servers: a TCP connection must be accepted, and with HTTP a request answered, before the
//! timeout, which is the group's or longer, see [`crate::rtt`] and [`crate::local_health`]. The outcomes go to the balancer. A
//! check that cannot be made for a fault of ours has no outcome: it says nothing about the server.

mod http;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::balance::{CheckKind, CheckOutcome, Server, ServerGroup};
use crate::dial::{DialError, dial};
use crate::dns::{Confirmation, Lookup};
use crate::fault::{Fault, Shortage};
use crate::limits::{BUDGET, CheckLane};
use crate::local_health::LocalHealth;
use crate::own_listeners::OwnListeners;
use crate::resolve::is_host_name;
use crate::rtt::{CHECKS, RttEstimate};

/// Maximum number of concurrent checks of one group and lane. First checks have no limit but the budget's: a new server takes
/// no connection before its own.
const MAX_CONCURRENT: usize = 64;

/// Minimum time between two checks of a server, even if connections to it fail.
const MIN_INTERVAL: Duration = Duration::from_millis(50);

/// Time from the first check of a new server to the second if the first one failed; it doubles for the next ones, up to the
/// group's period. A packet lost on a new path does not keep a server out for a whole period.
const FIRST_RETRY: Duration = Duration::from_millis(100);

/// Failed checks of a new server after which its checks have the group's period.
const MAX_RETRIES: u32 = 4;

/// Spawns [`run`].
pub fn spawn(group: Arc<ServerGroup>, own: OwnListeners, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(run(group, own, stop))
}

/// As [`spawn`], for a group that is filled with the addresses of a host name: a server that failed is checked only once
/// the name has led to it again, because its address may be another's by now.
pub(crate) fn spawn_resolved(
    group: Arc<ServerGroup>,
    own: OwnListeners,
    lookup: Arc<Lookup>,
    stop: CancellationToken,
) -> JoinHandle<()> {
    tokio::spawn(check_all(group, own, Some(lookup), stop))
}

/// Checks the group's servers until `stop`, each on its own schedule. A new server is checked at once, and so is one
/// to which a connection has just failed; a removed server is no longer checked. One whose address leads to a proxy of this
/// sidecar fails without a connection, which would come back.
pub async fn run(group: Arc<ServerGroup>, own: OwnListeners, stop: CancellationToken) {
    check_all(group, own, None, stop).await;
}

async fn check_all(
    group: Arc<ServerGroup>,
    own: OwnListeners,
    lookup: Option<Arc<Lookup>>,
    stop: CancellationToken,
) {
    let permits = Arc::new(Permits::default());
    let mut membership = group.watch_membership();
    let mut running: HashMap<u64, AbortHandle> = HashMap::new();
    let mut checks = JoinSet::new();
    loop {
        membership.mark_unchanged();
        let servers = group.checked();
        let listed: HashSet<u64> = servers.iter().map(|server| server.id()).collect();
        running.retain(|id, check| {
            let listed = listed.contains(id);
            if !listed {
                check.abort();
            }
            listed
        });
        for server in servers {
            running.entry(server.id()).or_insert_with(|| {
                let (group, permits) = (Arc::clone(&group), Arc::clone(&permits));
                let (own, lookup) = (own.clone(), lookup.clone());
                checks.spawn(check_repeatedly(group, server, permits, own, lookup))
            });
        }
        while checks.try_join_next().is_some() {}
        tokio::select! {
            () = stop.cancelled() => break,
            // Cannot fail: `group` holds the sender.
            _ = membership.changed() => {}
        }
    }
    checks.shutdown().await;
}

/// Limits the concurrent checks of one group.
#[derive(Debug)]
struct Permits {
    up: Semaphore,
    down: Semaphore,
}

impl Default for Permits {
    fn default() -> Self {
        Self {
            up: Semaphore::new(MAX_CONCURRENT),
            down: Semaphore::new(MAX_CONCURRENT),
        }
    }
}

impl Permits {
    /// Waits for the turn of a check.
    async fn take(&self, lane: CheckLane) -> impl Sized + use<'_> {
        // None of them is ever closed.
        let permit = match lane {
            CheckLane::Up => self.up.acquire().await.ok(),
            CheckLane::Down => self.down.acquire().await.ok(),
            CheckLane::First => None,
        };
        (permit, BUDGET.check(lane).await)
    }
}

/// The time from a check to the next one of a server that is new and has failed all checks.
fn retry(server: &Server) -> Option<Duration> {
    let checks = server.checks();
    let failed = u32::try_from(checks.failed).ok()?;
    let is_new = checks.passed == 0 && (1..=MAX_RETRIES).contains(&failed);
    is_new.then(|| FIRST_RETRY * (1 << (failed - 1)))
}

/// The lane of a server's next check.
fn lane(group: &ServerGroup, server: &Server) -> CheckLane {
    if group.is_up(server) {
        return CheckLane::Up;
    }
    match server.checks() {
        checks if checks.passed + checks.failed == 0 => CheckLane::First,
        _ => CheckLane::Down,
    }
}

async fn check_repeatedly(
    group: Arc<ServerGroup>,
    server: Arc<Server>,
    permits: Arc<Permits>,
    own: OwnListeners,
    lookup: Option<Arc<Lookup>>,
) {
    let mut config = group.watch_check_config();
    let (mut rtt, mut local_health) = (RttEstimate::new(CHECKS), LocalHealth::new(CHECKS));
    loop {
        let unconfirmed = match &lookup {
            Some(lookup) if group.is_failing(&server) => unconfirmed(lookup, &group, &server).await,
            _ => None,
        };
        let limit = rtt.timeout(config.borrow_and_update().timeout) + local_health.slack();
        let permit = permits.take(lane(&group, &server)).await;
        let started = Instant::now();
        let check = match destination(&group, &server, &own).await {
            Ok(address) if address == server.address() && unconfirmed.is_some() => {
                Check::Made(CheckOutcome::Refused, unconfirmed)
            }
            Ok(address) if address == server.address() => {
                let asked = Instant::now();
                let check = check(&group, &server, limit).await;
                match &check {
                    Check::Made(CheckOutcome::Passed, _) => rtt.answered(asked.elapsed()),
                    Check::Made(CheckOutcome::Failed, _) => rtt.timed_out(asked.elapsed()),
                    Check::Made(CheckOutcome::Refused, _) | Check::NotMade(_) => {}
                }
                check
            }
            // A check of the new address begins at once.
            Ok(address) => return group.readdress(&server, address),
            Err(why) => Check::Made(CheckOutcome::Failed, Some(why)),
        };
        drop(permit);
        match check {
            Check::Made(outcome, why) => {
                if report(&group, &server, outcome, why) == Some(true) {
                    // Timeouts that were extended while it started would delay the notice of its end.
                    rtt = RttEstimate::new(CHECKS);
                }
            }
            Check::NotMade(shortage) => {
                server.check_not_made();
                tracing::warn!(
                    group = group.name(),
                    server = server.name(),
                    address = %server.address(),
                    why = %shortage,
                    "a health check could not be made: the server keeps its state"
                );
            }
        }
        loop {
            // A period of 0 must not make checks follow each other without a pause.
            let period = config.borrow_and_update().period.max(Duration::from_millis(1));
            let next = started + period.min(retry(&server).unwrap_or(period));
            // A check that took longer than the period has made no timer late.
            let due = next.max(Instant::now());
            let rests = group.check_kind() == CheckKind::Passive
                && group.is_up(&server)
                && !group.is_failing(&server);
            tokio::select! {
                () = sleep_until(due), if !rests => {
                    local_health.fired(due.elapsed());
                    break;
                }
                () = server.recheck_wanted() => {
                    sleep_until(started + MIN_INTERVAL.min(period)).await;
                    break;
                }
                _ = config.changed() => {}
            }
        }
    }
}

/// Why a server that failed is not checked, if it is not: its host name does not lead to it any more, and it is about to be
/// removed; or there is no answer, and it is down. One that is up is checked then: connections to it may live.
async fn unconfirmed(lookup: &Lookup, group: &ServerGroup, server: &Server) -> Option<String> {
    let host = lookup.host();
    match lookup.confirm(server.address().ip()).await {
        Confirmation::Present => None,
        Confirmation::Gone => Some(format!("{host} does not lead to it any more")),
        Confirmation::Unanswered if group.is_up(server) => None,
        Confirmation::Unanswered => Some(format!("{host} was not resolved again")),
    }
}

/// The address at which a server is to be checked. If it is down and has a host name, that is where the name leads now: it is
/// up again only at an address that was resolved after it went down.
///
/// # Errors
/// Why there is none, as a sentence.
async fn destination(group: &ServerGroup, server: &Server, own: &OwnListeners) -> Result<SocketAddr, String> {
    let address = match server.host().filter(|_| !group.is_up(server)) {
        Some(host) => host.resolve().await.map_err(|error| error.to_string())?,
        None => server.address(),
    };
    match own.proxy_reached_by(address) {
        Some(listener) => Err(format!("{address} leads to {listener} of this sidecar")),
        None => Ok(address),
    }
}

/// Reports an outcome to the balancer. Returns whether the server is up, if that changed.
fn report(group: &ServerGroup, server: &Server, outcome: CheckOutcome, why: Option<String>) -> Option<bool> {
    #[cfg(feature = "failpoints")]
    let outcome = crate::failpoints::check_outcome(outcome);
    let up = group.report(server, outcome)?;
    tracing::info!(
        group = group.name(),
        server = server.name(),
        address = %server.address(),
        why,
        "server is {}",
        if up { "UP" } else { "DOWN" }
    );
    Some(up)
}

/// The end of a check.
enum Check {
    Made(CheckOutcome, Option<String>),
    /// Not made, for lack of something of ours.
    NotMade(Shortage),
}

async fn check(group: &ServerGroup, server: &Server, limit: Duration) -> Check {
    let made = |outcome, why: String| Check::Made(outcome, Some(why));
    let asking = async {
        let stream = dial(server.address(), None).await?;
        Ok::<_, DialError>(match group.check_kind() {
            CheckKind::Http(path) => http::get(stream, &host_of(server), &path).await,
            CheckKind::Tcp | CheckKind::Passive => (CheckOutcome::Passed, None),
        })
    };
    match timeout(limit, asking).await {
        Ok(Ok((outcome, why))) => Check::Made(outcome, why),
        Ok(Err(error)) => match error.fault {
            Fault::Own(shortage) => Check::NotMade(shortage),
            Fault::Peer => made(CheckOutcome::Refused, error.to_string()),
            Fault::TimedOut | Fault::Unreachable => made(CheckOutcome::Failed, error.to_string()),
        },
        Err(_) => made(
            CheckOutcome::Failed,
            format!("no answer within {} ms", limit.as_millis()),
        ),
    }
}

/// The host of a request to a server. Those of a host name have it in their names.
fn host_of(server: &Server) -> String {
    match (server.host(), server.name().split_once('@')) {
        (Some(host), _) => host.to_string(),
        (None, Some((host, _))) if is_host_name(host) => format!("{host}:{}", server.address().port()),
        _ => server.address().to_string(),
    }
}
