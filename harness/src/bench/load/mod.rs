//! The load, in a process of its own: its descriptors and its processor time are not those of what is measured. Threads
//! that block, for the same reason as in the backend.

mod bulk;
mod client;
mod connections;
mod hold;
mod http;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::wire::Order;
pub use client::{Destination, Route};

/// What is to be done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// Whom to connect to.
    pub route: Route,
    /// What to do with connections.
    pub kind: Kind,
}

/// The load's kinds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Kind {
    /// One request on each connection.
    Connections {
        /// Connections at a time.
        concurrency: usize,
        /// How long connections are begun.
        duration: Duration,
    },
    /// The same in HTTP, answered by a service of the mesh.
    Http {
        /// Connections at a time.
        concurrency: usize,
        /// How long connections are begun.
        duration: Duration,
        /// Path and query.
        target: String,
    },
    /// Much on few connections.
    Bulk {
        /// Connections at a time.
        concurrency: usize,
        /// Bytes on all of them together.
        bytes: u64,
    },
    /// Connections that are open and idle until standard input ends.
    Hold {
        /// How many.
        count: usize,
    },
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Connections that did as they should.
    pub done: u64,
    /// Connections that did not.
    pub failed: u64,
    /// Why one of those did not.
    pub failure: Option<String>,
    /// Whether one of those failed because this machine had no more ports or descriptors.
    pub exhausted: bool,
    /// How long all took.
    pub elapsed: Duration,
    /// How many answers each host gave, where answers tell.
    pub hosts: BTreeMap<String, u64>,
    /// Bytes that were received.
    pub bytes: u64,
    /// Half of the connections took at most this.
    pub p50: Duration,
    /// 99 percent of them took at most this.
    pub p99: Duration,
    /// All of them took at most this.
    pub max: Duration,
}

impl Outcome {
    fn fail(&mut self, error: &std::io::Error) {
        self.failed += 1;
        self.exhausted |= client::exhausted(error);
        self.failure.get_or_insert_with(|| error.to_string());
    }

    /// Adds what another thread did; its times stay apart.
    fn merge(&mut self, other: Self) {
        self.done += other.done;
        self.failed += other.failed;
        self.bytes += other.bytes;
        self.exhausted |= other.exhausted;
        self.failure = self.failure.take().or(other.failure);
        for (host, count) in other.hosts {
            *self.hosts.entry(host).or_default() += count;
        }
    }
}

impl Task {
    /// Does it. `ready` is told the outcome, and where connections are held they are until `end` returns.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn run<T>(&self, ready: impl FnOnce(Outcome) -> T, end: impl FnOnce()) -> std::io::Result<T> {
        match self.kind {
            Kind::Connections {
                concurrency,
                duration,
            } => {
                let ask = |block: &mut [u8]| self.route.ask(Order::SMALL, block).map(|_| None);
                connections::run(concurrency, duration, ask).map(ready)
            }
            Kind::Http {
                concurrency,
                duration,
                ref target,
            } => {
                let ask = |_: &mut [u8]| http::ask(&self.route, target).map(Some);
                connections::run(concurrency, duration, ask).map(ready)
            }
            Kind::Bulk { concurrency, bytes } => bulk::run(&self.route, concurrency, bytes).map(ready),
            Kind::Hold { count } => {
                let (outcome, _held) = hold::run(&self.route, count);
                let told = ready(outcome);
                end();
                Ok(told)
            }
        }
    }
}
