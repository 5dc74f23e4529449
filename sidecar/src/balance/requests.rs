//! Counters of HTTP requests, for a listener, a server or a server group: by method and status, and how long they took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::latency::{Latencies, LatencyCounters, REQUEST_TIME_BOUNDS};

/// Classes of methods, as labels (RFC 9110, section 9.2).
const METHODS: [&str; 3] = ["safe", "idempotent", "other"];
/// Classes of statuses, as labels (RFC 9110, section 15). Without an answer it is the last.
const STATUSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];
/// Statuses of gRPC, as labels. What is none of them is the last.
const GRPC_STATUSES: [&str; 18] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "other",
];

/// A snapshot of [`RequestCounters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requests {
    ended: [[u64; STATUSES.len()]; METHODS.len()],
    /// A listener's requests that have not ended. Those of a server are its active connections.
    pub active: u64,
    /// Requests that were sent again, because the instance ended the connection.
    pub retries: u64,
    grpc: [u64; GRPC_STATUSES.len()],
    /// Time from the head of a request to the end of its answer.
    pub times: Latencies,
}

impl Requests {
    /// Every class of methods and of statuses, as labels, with the number of requests that have ended so.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        METHODS.into_iter().zip(self.ended).flat_map(|(method, ended)| {
            let ended = STATUSES.into_iter().zip(ended);
            ended.map(move |(status, count)| (method, status, count))
        })
    }

    /// Every status of gRPC, as a label, with the number of calls that have ended with it.
    pub fn grpc(&self) -> impl Iterator<Item = (&'static str, u64)> {
        GRPC_STATUSES.into_iter().zip(self.grpc)
    }
}

/// Counts HTTP requests. Reading takes no lock.
#[derive(Debug)]
pub struct RequestCounters {
    ended: [[AtomicU64; STATUSES.len()]; METHODS.len()],
    active: AtomicU64,
    retries: AtomicU64,
    grpc: [AtomicU64; GRPC_STATUSES.len()],
    times: LatencyCounters,
}

impl Default for RequestCounters {
    fn default() -> Self {
        Self {
            ended: Default::default(),
            active: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            grpc: Default::default(),
            times: LatencyCounters::new(&REQUEST_TIME_BOUNDS),
        }
    }
}

impl RequestCounters {
    /// Counts a request that begins.
    pub fn enter(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts that a request is no longer active.
    pub fn leave(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts that a request was sent again.
    pub fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that has ended, with its method and the status of its answer, if there was one.
    pub fn ended(&self, method: &str, status: Option<u16>, took: Duration) {
        let method = match method {
            "GET" | "HEAD" | "OPTIONS" | "TRACE" => 0,
            "PUT" | "DELETE" => 1,
            _ => 2,
        };
        let none = STATUSES.len() - 1;
        let status = status.map_or(none, |status| usize::from(status / 100).wrapping_sub(1).min(none));
        self.ended[method][status].fetch_add(1, Ordering::Relaxed);
        self.times.observe(took);
    }

    /// Counts a call of gRPC that has ended with this value of `grpc-status`.
    pub fn grpc_ended(&self, status: &[u8]) {
        let known = GRPC_STATUSES.iter().position(|label| label.as_bytes() == status);
        let index = known.unwrap_or(GRPC_STATUSES.len() - 1);
        self.grpc[index].fetch_add(1, Ordering::Relaxed);
    }

    /// Reads all the counters.
    pub fn read(&self) -> Requests {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Requests {
            ended: self.ended.each_ref().map(|row| row.each_ref().map(load)),
            active: load(&self.active),
            retries: load(&self.retries),
            grpc: self.grpc.each_ref().map(load),
            times: self.times.read(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_once_by_the_classes_of_its_method_and_status() {
        let counters = RequestCounters::default();
        let ends = [
            ("GET", Some(200), "safe", "2xx"),
            ("HEAD", Some(304), "safe", "3xx"),
            ("DELETE", Some(404), "idempotent", "4xx"),
            ("POST", Some(503), "other", "5xx"),
            ("CONNECT", Some(101), "other", "1xx"),
            ("PATCH", None, "other", "none"),
            ("GET", Some(999), "safe", "none"),
            ("GET", Some(0), "safe", "none"),
        ];
        for (method, status, ..) in ends {
            counters.ended(method, status, Duration::from_millis(3));
        }
        let requests = counters.read();
        for (method, status, count) in requests.iter() {
            let expected = ends.iter().filter(|end| (end.2, end.3) == (method, status));
            assert_eq!(count, expected.count() as u64, "{method} {status}");
        }
        assert_eq!(requests.times.count(), ends.len() as u64);
        assert_eq!(requests.times.sum(), Duration::from_millis(24));
    }

    #[test]
    fn a_call_of_grpc_counts_once_by_its_status() {
        let counters = RequestCounters::default();
        for status in ["0", "14", "14", "17", "-1", "ok", "other", ""] {
            counters.grpc_ended(status.as_bytes());
        }
        let counted: Vec<_> = counters.read().grpc().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("0", 1), ("14", 2), ("other", 5)]);
    }
}
