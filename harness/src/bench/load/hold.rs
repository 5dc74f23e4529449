//! Connections that stay open and say nothing.

use std::net::TcpStream;

use super::Outcome;
use super::client::{Route, block};
use crate::bench::wire::Order;

/// Failures after which no more connections are tried.
const MOST_FAILURES: u64 = 10;

/// Opens them one after the other; each has carried a byte to its end and back before the next.
pub(super) fn run(route: &Route, count: usize) -> (Outcome, Vec<TcpStream>) {
    let order = Order { bytes: 1, keep: true };
    let mut outcome = Outcome::default();
    let mut held = Vec::new();
    let mut block = block();
    while held.len() < count && outcome.failed < MOST_FAILURES {
        match route.ask(order, &mut block) {
            Ok(stream) => {
                outcome.done += 1;
                held.push(stream);
            }
            Err(error) => outcome.fail(&error),
        }
    }
    (outcome, held)
}
