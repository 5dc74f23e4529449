//! Active health checks of a group's servers: a TCP connection must be accepted before the timeout. The outcomes go to the
//! balancer.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::balance::{CheckOutcome, Server, ServerGroup};
use crate::self_connect::is_self_connect;

/// Maximum number of concurrent checks of one group.
const MAX_CONCURRENT: usize = 64;

/// Minimum time between two checks of a server, even if connections to it fail.
const MIN_INTERVAL: Duration = Duration::from_millis(50);

/// Spawns [`run`].
pub fn spawn(group: Arc<ServerGroup>, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(run(group, stop))
}

/// Checks the group's servers until `stop`, each on its own schedule. A new server is checked at once, and so is one
/// to which a connection has just failed; a removed server is no longer checked.
pub async fn run(group: Arc<ServerGroup>, stop: CancellationToken) {
    let permits = Arc::new(Semaphore::new(MAX_CONCURRENT));
    let mut membership = group.watch_membership();
    let mut running: HashMap<u64, AbortHandle> = HashMap::new();
    let mut checks = JoinSet::new();
    loop {
        membership.mark_unchanged();
        let servers = group.checked();
        running.retain(|id, check| {
            let listed = servers.iter().any(|s| s.id() == *id);
            if !listed {
                check.abort();
            }
            listed
        });
        for server in servers {
            running.entry(server.id()).or_insert_with(|| {
                checks.spawn(check_repeatedly(Arc::clone(&group), server, Arc::clone(&permits)))
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

async fn check_repeatedly(group: Arc<ServerGroup>, server: Arc<Server>, permits: Arc<Semaphore>) {
    let mut config = group.watch_check_config();
    loop {
        let limit = config.borrow_and_update().timeout;
        let Ok(permit) = permits.acquire().await else {
            return;
        };
        let started = Instant::now();
        let (outcome, why) = match check(server.address(), limit).await {
            Ok(()) => (CheckOutcome::Passed, None),
            Err(Failed { outcome, why }) => (outcome, Some(why)),
        };
        drop(permit);
        #[cfg(feature = "failpoints")]
        let outcome = crate::failpoints::check_outcome(outcome);
        let change = group.report(&server, outcome);
        if let Some(up) = change {
            tracing::info!(
                group = group.name(),
                server = server.name(),
                address = %server.address(),
                why,
                "server is {}",
                if up { "UP" } else { "DOWN" }
            );
        }
        loop {
            // A period of 0 must not make checks follow each other without a pause.
            let next = started + config.borrow_and_update().period.max(Duration::from_millis(1));
            tokio::select! {
                () = sleep_until(next) => break,
                () = server.recheck_wanted() => {
                    sleep_until(next.min(started + MIN_INTERVAL)).await;
                    break;
                }
                _ = config.changed() => {}
            }
        }
    }
}

/// A failed check.
struct Failed {
    outcome: CheckOutcome,
    why: String,
}

async fn check(address: SocketAddr, limit: Duration) -> Result<(), Failed> {
    let (outcome, why) = match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(stream)) if is_self_connect(&stream, address) => {
            (CheckOutcome::Refused, "nothing listens there".to_owned())
        }
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
            (CheckOutcome::Refused, error.to_string())
        }
        Ok(Err(error)) => (CheckOutcome::Failed, error.to_string()),
        Err(_) => (
            CheckOutcome::Failed,
            format!("no answer within {} ms", limit.as_millis()),
        ),
    };
    Err(Failed { outcome, why })
}
