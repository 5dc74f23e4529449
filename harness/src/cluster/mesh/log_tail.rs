//! The last log lines of the containers, for a failed check.

use futures_util::future::join_all;

use super::{Mesh, Node};
use crate::error::{CheckFailure, Error};

/// Number of last log lines of each container in a failure message.
const LOG_LINES: usize = 10;
/// Number of last log lines of a container that exited unexpectedly: it is probably the cause of the failure.
const ENDED_LOG_LINES: usize = 20;

impl Mesh {
    /// Adds the last log lines of the containers to a failed check that has none; returns other errors unchanged.
    pub async fn with_logs(&self, error: Error) -> Error {
        match error {
            Error::Check(mut failure) if failure.logs.is_empty() => {
                (failure.logs, failure.unshown) = self.log_tails().await;
                Error::Check(failure)
            }
            other => other,
        }
    }

    /// Makes the error of a failed check, with the last log lines of the containers.
    pub(super) async fn failure(&self, expected: String, seen: String) -> Error {
        let (logs, unshown) = self.log_tails().await;
        Error::Check(Box::new(CheckFailure {
            expected,
            seen,
            logs,
            unshown,
        }))
    }

    /// The last log lines, by container name, of the containers that ended unexpectedly, or of all if none did.
    pub async fn logs(&self) -> Vec<(String, Vec<String>)> {
        self.log_tails().await.0
    }

    /// The lines of [`Mesh::logs`], and the names of the containers whose lines are left out.
    async fn log_tails(&self) -> (Vec<(String, Vec<String>)>, Vec<String>) {
        let inspected = self.nodes.iter().map(async |node: &Node| {
            let container = self.engine.container(&node.container.id).await;
            (
                node,
                node.wanted && container.is_ok_and(|container| container.ended()),
            )
        });
        let inspected = join_all(inspected).await;
        let any = inspected.iter().any(|(_, ended)| *ended);
        let (shown, unshown): (Vec<_>, Vec<_>) = inspected.into_iter().partition(|(_, ended)| *ended || !any);
        let count = if any { ENDED_LOG_LINES } else { LOG_LINES };
        let name = |node: &Node| node.container.name.clone();
        let log = async |node: &Node| {
            (
                name(node),
                self.engine.last_lines(&node.container.id, count).await,
            )
        };
        let logs = join_all(shown.iter().map(|(node, _)| log(node))).await;
        (logs, unshown.iter().map(|(node, _)| name(node)).collect())
    }
}
