//! A new connection for each request.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::Outcome;
use super::client::block;
use crate::bench::statistics::percentile;

/// Failures in a row after which a thread gives up: the route is broken, and trying it on only takes time.
const MOST_FAILURES: u64 = 100;

/// Lets `ask` make one connection after the other in each of `concurrency` threads. It is given memory to read into, and
/// tells which host has answered, where the answer does.
pub(super) fn run(
    concurrency: usize,
    duration: Duration,
    ask: impl Fn(&mut [u8]) -> io::Result<Option<String>> + Sync,
) -> io::Result<Outcome> {
    let begun = Instant::now();
    let until = begun + duration;
    let threads = thread::scope(|scope| {
        let threads: Vec<_> = (0..concurrency)
            .map(|_| thread::Builder::new().spawn_scoped(scope, || client(&ask, until)))
            .collect::<Result<_, _>>()?;
        Ok::<_, io::Error>(
            threads
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .collect::<Vec<_>>(),
        )
    })?;
    let elapsed = begun.elapsed();
    let mut all = Outcome {
        elapsed,
        ..Outcome::default()
    };
    let mut times = Vec::new();
    for (outcome, mut own) in threads {
        all.merge(outcome);
        times.append(&mut own);
    }
    times.sort_unstable();
    let at = |percent| percentile(&times, percent).unwrap_or_default();
    (all.p50, all.p99, all.max) = (at(50.0), at(99.0), at(100.0));
    Ok(all)
}

fn client(ask: impl Fn(&mut [u8]) -> io::Result<Option<String>>, until: Instant) -> (Outcome, Vec<Duration>) {
    let mut outcome = Outcome::default();
    let mut times = Vec::with_capacity(4096);
    let mut failures = 0;
    let mut block = block();
    let mut now = Instant::now();
    while now < until && failures < MOST_FAILURES {
        let result = ask(&mut block);
        let then = Instant::now();
        match result {
            Ok(host) => {
                outcome.done += 1;
                if let Some(host) = host {
                    *outcome.hosts.entry(host).or_default() += 1;
                }
                times.push(then - now);
                failures = 0;
            }
            Err(error) => {
                outcome.fail(&error);
                failures += 1;
            }
        }
        now = then;
    }
    (outcome, times)
}
