//! A new connection for each request.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::Outcome;
use super::client::{Route, block};
use crate::bench::statistics::percentile;
use crate::bench::wire::Order;

/// Failures in a row after which a thread gives up: the route is broken, and trying it on only takes time.
const MOST_FAILURES: u64 = 100;

pub(super) fn run(route: &Route, concurrency: usize, duration: Duration) -> io::Result<Outcome> {
    let begun = Instant::now();
    let until = begun + duration;
    let threads = thread::scope(|scope| {
        let threads: Vec<_> = (0..concurrency)
            .map(|_| thread::Builder::new().spawn_scoped(scope, || client(route, until)))
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

fn client(route: &Route, until: Instant) -> (Outcome, Vec<Duration>) {
    let mut outcome = Outcome::default();
    let mut times = Vec::with_capacity(4096);
    let mut failures = 0;
    let mut block = block();
    let mut now = Instant::now();
    while now < until && failures < MOST_FAILURES {
        let result = route.ask(Order::SMALL, &mut block);
        let then = Instant::now();
        match result {
            Ok(_) => {
                outcome.done += 1;
                outcome.bytes += Order::SMALL.bytes;
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
