//! Much on few connections.

use std::io;
use std::thread;
use std::time::Instant;

use super::Outcome;
use super::client::{Route, block};
use crate::bench::wire::Order;

pub(super) fn run(route: &Route, concurrency: usize, bytes: u64) -> io::Result<Outcome> {
    let order = Order {
        bytes: bytes.div_ceil(concurrency.max(1) as u64),
        keep: false,
    };
    let begun = Instant::now();
    let outcomes = thread::scope(|scope| {
        let threads: Vec<_> = (0..concurrency)
            .map(|_| thread::Builder::new().spawn_scoped(scope, || one(route, order)))
            .collect::<Result<_, _>>()?;
        Ok::<_, io::Error>(
            threads
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .collect::<Vec<_>>(),
        )
    })?;
    let mut all = Outcome {
        elapsed: begun.elapsed(),
        ..Outcome::default()
    };
    outcomes.into_iter().for_each(|outcome| all.merge(outcome));
    Ok(all)
}

fn one(route: &Route, order: Order) -> Outcome {
    let mut outcome = Outcome::default();
    match route.ask(order, &mut block()) {
        Ok(_) => {
            outcome.done = 1;
            outcome.bytes = order.bytes;
        }
        Err(error) => outcome.fail(&error),
    }
    outcome
}
