//! Waits for free entries in the kernel's connection tracking table. If the table is full, the kernel drops packets,
//! which would falsify the results.

use std::time::{Duration, Instant};

use crate::console::Progress;
use crate::error::Error;
use crate::verify::conntrack::{self, Capacity};

/// Timeout of the wait; longer than the kernel tracks closed connections (120 s in TIME_WAIT).
const TIMEOUT: Duration = Duration::from_secs(180);
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Waits until the kernel can track `connections` additional connections.
///
/// # Errors
/// The table is too small, or has too few free entries when the wait times out.
pub(super) async fn wait_for_entries(connections: u64, progress: &Progress) -> Result<(), Error> {
    let started_at = Instant::now();
    while let Some(Capacity { total, free }) =
        conntrack::capacity().filter(|capacity| capacity.free < connections)
    {
        if total < connections {
            return Err(Error::environment(
                format!(
                    "the next step needs {connections} connections, and the kernel can track {total} without dropping any"
                ),
                "use a shorter --duration, or raise /proc/sys/net/netfilter/nf_conntrack_max",
            ));
        }
        if started_at.elapsed() > TIMEOUT {
            return Err(Error::environment(
                format!(
                    "the kernel can track {free} more connections, and the next step needs {connections}"
                ),
                "stop other programs that make connections, use a shorter --duration, or raise \
                 /proc/sys/net/netfilter/nf_conntrack_max",
            ));
        }
        progress.note(&format!(
            "waiting until the kernel has dropped closed connections ({free} of {connections} entries free)"
        ));
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}
