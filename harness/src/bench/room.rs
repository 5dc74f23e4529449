//! Room for connections in the kernel's tables. Where it runs out, what is measured is the machine.

use std::time::{Duration, Instant};

use crate::console::Progress;
use crate::error::Error;
use crate::verify::conntrack::{self, Room};

/// Time after which the kernel has forgotten closed connections, and some more.
const LIMIT: Duration = Duration::from_secs(180);
const PERIOD: Duration = Duration::from_secs(1);

/// Waits until `connections` more can be tracked.
///
/// # Errors
/// They never can, or cannot for longer than it takes to forget old ones.
pub(super) async fn wait(connections: u64, progress: &Progress) -> Result<(), Error> {
    let begun = Instant::now();
    while let Some(Room { whole, left }) = conntrack::room().filter(|room| room.left < connections) {
        if whole < connections {
            return Err(Error::environment(
                format!(
                    "the next step needs {connections} connections, and the kernel can track {whole} without dropping any"
                ),
                "take a shorter --duration, or raise /proc/sys/net/netfilter/nf_conntrack_max",
            ));
        }
        if begun.elapsed() > LIMIT {
            return Err(Error::environment(
                format!(
                    "the kernel can track {left} more connections, and the next step needs {connections}"
                ),
                "stop whatever else makes connections, take a shorter --duration, or raise \
                 /proc/sys/net/netfilter/nf_conntrack_max",
            ));
        }
        progress.note(&format!(
            "waiting for the kernel to forget old connections (room for {left} of {connections})"
        ));
        tokio::time::sleep(PERIOD).await;
    }
    Ok(())
}
