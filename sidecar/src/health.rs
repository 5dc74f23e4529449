//! Active health checks that feed the balancer: is a TCP connection accepted in time?

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

/// How many checks of one group may be under way at once.
const AT_ONCE: usize = 64;

/// The shortest time between two checks of a server, however many connections to it fail.
const SPACING: Duration = Duration::from_millis(50);

/// Checks the group's servers in a task of their own until `stop`; see [`run`].
pub fn spawn(group: Arc<ServerGroup>, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(run(group, stop))
}

/// Checks the group's servers until `stop`: each by its own timing, a new one at once, one that a connection
/// just failed on at once too, a removed one no longer.
pub async fn run(group: Arc<ServerGroup>, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut membership = group.watch_membership();
    let mut running: HashMap<u64, AbortHandle> = HashMap::new();
    let mut checks = JoinSet::new();
    loop {
        membership.mark_unchanged();
        let servers = group.checked();
        running.retain(|id, check| {
            let stays = servers.iter().any(|s| s.id() == *id);
            if !stays {
                check.abort();
            }
            stays
        });
        for server in servers {
            running.entry(server.id()).or_insert_with(|| {
                checks.spawn(check_again_and_again(
                    Arc::clone(&group),
                    server,
                    Arc::clone(&slots),
                ))
            });
        }
        while checks.try_join_next().is_some() {}
        tokio::select! {
            () = stop.cancelled() => break,
            // It cannot fail: the group, which holds the sender, is ours as well.
            _ = membership.changed() => {}
        }
    }
    checks.shutdown().await;
}

async fn check_again_and_again(group: Arc<ServerGroup>, server: Arc<Server>, slots: Arc<Semaphore>) {
    let mut config = group.watch_check_config();
    loop {
        let limit = config.borrow_and_update().timeout;
        let Ok(slot) = slots.acquire().await else { return };
        let started = Instant::now();
        let (outcome, why) = match check(server.address(), limit).await {
            Ok(()) => (CheckOutcome::Passed, None),
            Err(Failed { outcome, why }) => (outcome, Some(why)),
        };
        drop(slot);
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
            // No setting makes checks follow each other without a pause.
            let next = started + config.borrow_and_update().period.max(Duration::from_millis(1));
            tokio::select! {
                () = sleep_until(next) => break,
                () = server.recheck_wanted() => {
                    sleep_until(next.min(started + SPACING)).await;
                    break;
                }
                _ = config.changed() => {}
            }
        }
    }
}

/// A check that did not pass.
struct Failed {
    outcome: CheckOutcome,
    why: String,
}

async fn check(address: SocketAddr, limit: Duration) -> Result<(), Failed> {
    let (outcome, why) = match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(stream)) if is_self_connect(&stream, address) => {
            (CheckOutcome::Refused, "nobody listens there".to_owned())
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
