//! A new connection for each request.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::LoadReport;
use super::client::new_block;
use crate::statistics::percentile;

/// Consecutive failures after which a thread gives up and the target counts as broken.
const MAX_FAILURES: u64 = 100;

/// Calls `exchange`, which opens one connection, repeatedly in `concurrency` threads for `duration`. `exchange` gets a
/// buffer to read into, and returns the value by which the response is counted, if any.
pub(super) fn run(
    concurrency: usize,
    duration: Duration,
    exchange: impl Fn(&mut [u8]) -> io::Result<Option<String>> + Sync,
) -> io::Result<LoadReport> {
    let started_at = Instant::now();
    let until = started_at + duration;
    let threads = thread::scope(|scope| {
        let threads: Vec<_> = (0..concurrency)
            .map(|_| thread::Builder::new().spawn_scoped(scope, || client(&exchange, until)))
            .collect::<Result<_, _>>()?;
        Ok::<_, io::Error>(
            threads
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .collect::<Vec<_>>(),
        )
    })?;
    let elapsed = started_at.elapsed();
    let mut all = LoadReport {
        elapsed,
        ..LoadReport::default()
    };
    let mut times = Vec::new();
    for (report, mut own) in threads {
        all.merge(report);
        times.append(&mut own);
    }
    times.sort_unstable();
    let at = |percent| percentile(&times, percent).unwrap_or_default();
    (all.p50, all.p99, all.max) = (at(50.0), at(99.0), at(100.0));
    Ok(all)
}

/// Runs one thread. Returns its report and the duration of each completed connection.
fn client(
    exchange: impl Fn(&mut [u8]) -> io::Result<Option<String>>,
    until: Instant,
) -> (LoadReport, Vec<Duration>) {
    let mut report = LoadReport::default();
    let mut times = Vec::with_capacity(4096);
    let mut failures = 0;
    let mut block = new_block();
    let mut started = Instant::now();
    while started < until && failures < MAX_FAILURES {
        let result = exchange(&mut block);
        let ended = Instant::now();
        match result {
            Ok(value) => {
                report.done += 1;
                if let Some(value) = value {
                    *report.counts.entry(value).or_default() += 1;
                }
                times.push(ended - started);
                failures = 0;
            }
            Err(error) => {
                report.fail(&error);
                failures += 1;
            }
        }
        started = ended;
    }
    (report, times)
}
