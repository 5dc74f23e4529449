//! Leases are notified if and only if their server goes down.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Waker};

use proptest::prelude::*;
use sidecar::balance::{CheckOutcome, Lease, Method, ServerGroup, Tried};

use super::{CLIENT, address, config};

const SERVERS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Pick,
    /// The mesh offers these from now on; of those it no longer offers, the marked ones are down.
    Learn {
        offered: [bool; SERVERS],
        down: [bool; SERVERS],
    },
    /// Consecutive checks of a server with this outcome.
    Check(usize, CheckOutcome, u32),
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop::sample::select(vec![
        CheckOutcome::Passed,
        CheckOutcome::Refused,
        CheckOutcome::Failed,
    ]);
    prop_oneof![
        3 => Just(Step::Pick),
        2 => any::<([bool; SERVERS], [bool; SERVERS])>().prop_map(|(offered, down)| Step::Learn { offered, down }),
        2 => (0..SERVERS, outcome, 1..5u32).prop_map(|(server, outcome, count)| Step::Check(server, outcome, count)),
    ]
}

fn is_down(lease: &Lease) -> bool {
    let waiting = pin!(lease.down());
    waiting.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn addresses() -> [SocketAddr; SERVERS] {
    std::array::from_fn(address)
}

proptest! {
    #[test]
    fn leases_end_only_when_their_server_goes_down(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let group = ServerGroup::new("g", config(), Method::Wrr);
        let addresses = addresses();
        // Each lease, and whether its server has gone down since.
        let mut leases: Vec<(Lease, bool)> = Vec::new();
        for step in steps {
            match step {
                Step::Pick => {
                    leases.extend(group.pick(CLIENT, &Tried::new()).map(|lease| (lease, false)));
                }
                Step::Learn { offered, down } => {
                    let held: Vec<u64> = group.checked().iter().map(|server| server.id()).collect();
                    let list = (0..SERVERS).filter(|i| offered[*i]);
                    let list = list.map(|i| (format!("s{i}"), addresses[i], 10)).collect();
                    group.set_learned_marking_down(list, |at| down[addresses.iter().position(|p| *p == at).unwrap()]);
                    for (lease, notified) in &mut leases {
                        let index = addresses.iter().position(|p| *p == lease.address()).unwrap();
                        *notified |= held.contains(&lease.server().id()) && !offered[index] && down[index];
                    }
                }
                Step::Check(index, outcome, count) => {
                    let Some(server) = group.checked().into_iter().find(|s| s.address() == addresses[index]) else {
                        continue;
                    };
                    for _ in 0..count {
                        let went_down = group.report(&server, outcome) == Some(false);
                        for (lease, notified) in &mut leases {
                            let same = lease.server().id() == server.id();
                            *notified |= same && went_down && outcome == CheckOutcome::Failed;
                        }
                    }
                }
            }
            for (lease, notified) in &leases {
                prop_assert_eq!(is_down(lease), *notified, "{}", lease.address());
            }
        }
    }
}
