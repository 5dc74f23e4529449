//! Load generators. They use blocking threads, because these make the fewest system calls per connection, and run in
//! their own process (`worker.rs`).

mod bulk;
mod client;
mod connections;
mod hold;
mod http;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::request::BackendRequest;
pub use client::{Socks5Destination, Target, exhausted};

/// A workload and its target.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadTask {
    /// The destination of the connections.
    pub target: Target,
    /// The load on it.
    pub workload: Workload,
}

/// The behaviour of a load's clients.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Workload {
    /// One request to the backend on each connection.
    Connections {
        /// Concurrent connections.
        concurrency: usize,
        /// Time during which connections are opened.
        duration: Duration,
    },
    /// One HTTP request on each connection.
    Http {
        /// Concurrent connections.
        concurrency: usize,
        /// Time during which connections are opened.
        duration: Duration,
        /// Path and query.
        target: String,
        /// The string field of the response's JSON object by which responses are counted.
        count_by: String,
    },
    /// One long response on each connection.
    Bulk {
        /// Concurrent connections.
        concurrency: usize,
        /// Total bytes of all connections.
        bytes: u64,
    },
    /// Connections that stay open and idle until standard input ends.
    Hold {
        /// Number of connections.
        count: usize,
    },
}

/// The result of a load.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// Number of completed connections.
    pub done: u64,
    /// Number of failed connections.
    pub failed: u64,
    /// Error of one of the failed connections.
    pub failure: Option<String>,
    /// Whether a connection failed because this machine had no more ports, descriptors or socket memory.
    pub exhausted: bool,
    /// Time from the first connection's start to the last one's end.
    pub elapsed: Duration,
    /// [`Workload::Http`]: number of responses by the value of their field `count_by`.
    pub counts: BTreeMap<String, u64>,
    /// [`Workload::Bulk`]: bytes received.
    pub bytes: u64,
    /// Median time of a connection, from connect to the end of its response.
    pub p50: Duration,
    /// 99th percentile of that time.
    pub p99: Duration,
    /// Maximum of that time.
    pub max: Duration,
}

impl LoadReport {
    fn fail(&mut self, error: &std::io::Error) {
        self.failed += 1;
        self.exhausted |= exhausted(error);
        self.failure.get_or_insert_with(|| error.to_string());
    }

    /// Adds another thread's counts; times are not merged.
    fn merge(&mut self, other: Self) {
        self.done += other.done;
        self.failed += other.failed;
        self.bytes += other.bytes;
        self.exhausted |= other.exhausted;
        self.failure = self.failure.take().or(other.failure);
        for (value, count) in other.counts {
            *self.counts.entry(value).or_default() += count;
        }
    }
}

impl LoadTask {
    /// Runs the load and passes its report to `ready`. Held connections stay open until `end` returns.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn run<T>(&self, ready: impl FnOnce(LoadReport) -> T, end: impl FnOnce()) -> std::io::Result<T> {
        match self.workload {
            Workload::Connections {
                concurrency,
                duration,
            } => {
                let exchange =
                    |block: &mut [u8]| self.target.exchange(BackendRequest::SHORT, block).map(|_| None);
                connections::run(concurrency, duration, exchange).map(ready)
            }
            Workload::Http {
                concurrency,
                duration,
                ref target,
                ref count_by,
            } => {
                let exchange = |_: &mut [u8]| http::exchange(&self.target, target, count_by).map(Some);
                connections::run(concurrency, duration, exchange).map(ready)
            }
            Workload::Bulk { concurrency, bytes } => bulk::run(&self.target, concurrency, bytes).map(ready),
            Workload::Hold { count } => {
                let (report, _held) = hold::run(&self.target, count);
                let result = ready(report);
                end();
                Ok(result)
            }
        }
    }
}
