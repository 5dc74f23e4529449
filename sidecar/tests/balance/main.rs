//! Balancing through its public surface: which server a connection gets.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

mod connects;
mod endpoint_down;
mod group;
mod groups;
mod last_choice;
mod outlier;
mod source;
mod untested;
mod wlc;
mod wrr;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sidecar::balance::{CheckConfig, CheckOutcome, Method, ServerGroup, Tried};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn config() -> CheckConfig {
    CheckConfig {
        timeout: Duration::from_millis(500),
        period: Duration::from_secs(1),
        up: 2,
        down: 3,
    }
}

fn address(index: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, (index / 250) as u8, (index % 250) as u8 + 1], 8000))
}

/// A group of configured servers `s0`, `s1`, ... that are up, with these weights.
fn group(method: Method, weights: &[u32]) -> Arc<ServerGroup> {
    let group = ServerGroup::new("group", config(), method);
    for (index, weight) in weights.iter().enumerate() {
        group.add(&format!("s{index}"), address(index), *weight).unwrap();
    }
    prove(&group);
    group
}

/// Has the first check of each server pass.
fn prove(group: &ServerGroup) {
    for server in group.checked() {
        if server.checks().passed == 0 {
            group.report(&server, CheckOutcome::Passed);
        }
    }
}

/// Takes a server down, or up again, by checks.
fn set_up(group: &ServerGroup, name: &str, up: bool) {
    let server = group.checked().into_iter().find(|s| s.name() == name).unwrap();
    let outcome = if up {
        CheckOutcome::Passed
    } else {
        CheckOutcome::Failed
    };
    for _ in 0..3 {
        group.report(&server, outcome);
    }
}

/// The server picked for the next connection, which ends at once.
fn next(group: &Arc<ServerGroup>) -> String {
    next_for(group, CLIENT)
}

fn next_for(group: &Arc<ServerGroup>, client: IpAddr) -> String {
    let lease = group
        .pick(client, &Tried::new(Instant::now()))
        .expect("a candidate");
    lease.server().name().to_owned()
}

/// The number of the next `count` connections that each server gets.
fn shares(group: &Arc<ServerGroup>, servers: usize, count: usize) -> Vec<u32> {
    let mut shares = vec![0; servers];
    for _ in 0..count {
        shares[index_of(&next(group))] += 1;
    }
    shares
}

fn index_of(name: &str) -> usize {
    name[1..].parse().unwrap()
}
