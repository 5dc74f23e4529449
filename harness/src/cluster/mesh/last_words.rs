//! What the containers wrote last, for a failed check.

use futures_util::future::join_all;

use super::{Mesh, Node};
use crate::error::{CheckFailure, Error};

/// Lines of each container's log that a failure shows.
const LOG_LINES: usize = 10;
/// The same of a container that has ended, which is what the failure is about.
const LAST_WORDS: usize = 20;

impl Mesh {
    /// Adds the containers' last log lines to a failed check; anything else is passed on as it is.
    pub async fn with_logs(&self, error: Error) -> Error {
        match error {
            Error::Check(mut failure) if failure.logs.is_empty() => {
                (failure.logs, failure.unshown) = self.last_words().await;
                Error::Check(failure)
            }
            other => other,
        }
    }

    /// A failed check with those lines.
    pub(super) async fn failure(&self, expected: String, seen: String) -> Error {
        let (logs, unshown) = self.last_words().await;
        Error::Check(Box::new(CheckFailure {
            expected,
            seen,
            logs,
            unshown,
        }))
    }

    /// The last log lines of the containers that have ended and should not have, else of each; with their names.
    pub async fn logs(&self) -> Vec<(String, Vec<String>)> {
        self.last_words().await.0
    }

    /// The same, and the names of the containers that are left out.
    async fn last_words(&self) -> (Vec<(String, Vec<String>)>, Vec<String>) {
        let looked = self.nodes.iter().map(async |node: &Node| {
            let look = self.engine.container(&node.container.id).await;
            (node, node.wanted && look.is_ok_and(|container| container.ended()))
        });
        let looked = join_all(looked).await;
        let any = looked.iter().any(|(_, ended)| *ended);
        let (told, unshown): (Vec<_>, Vec<_>) = looked.into_iter().partition(|(_, ended)| *ended || !any);
        let count = if any { LAST_WORDS } else { LOG_LINES };
        let name = |node: &Node| node.container.name.clone();
        let log = async |node: &Node| {
            (
                name(node),
                self.engine.last_lines(&node.container.id, count).await,
            )
        };
        let logs = join_all(told.iter().map(|(node, _)| log(node))).await;
        (logs, unshown.iter().map(|(node, _)| name(node)).collect())
    }
}
