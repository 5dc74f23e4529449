//! Exactly the leases of a server that is lost are told so, whatever else happens to it and its siblings.

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
    /// The mesh offers these from now on; those of the others that are marked are lost.
    Learn {
        offered: [bool; SERVERS],
        lost: [bool; SERVERS],
    },
    /// So many checks of a server end like this.
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
        2 => any::<([bool; SERVERS], [bool; SERVERS])>().prop_map(|(offered, lost)| Step::Learn { offered, lost }),
        2 => (0..SERVERS, outcome, 1..5u32).prop_map(|(server, outcome, count)| Step::Check(server, outcome, count)),
    ]
}

fn is_lost(lease: &Lease) -> bool {
    let waiting = pin!(lease.down());
    waiting.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn places() -> [SocketAddr; SERVERS] {
    std::array::from_fn(address)
}

proptest! {
    #[test]
    fn leases_end_with_the_loss_of_their_server_and_with_nothing_else(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let group = ServerGroup::new("g", config(), Method::Wrr);
        let places = places();
        // Each lease with whether its server was lost since.
        let mut leases: Vec<(Lease, bool)> = Vec::new();
        for step in steps {
            match step {
                Step::Pick => {
                    leases.extend(group.pick(CLIENT, &Tried::new()).map(|lease| (lease, false)));
                }
                Step::Learn { offered, lost } => {
                    let held: Vec<u64> = group.checked().iter().map(|server| server.id()).collect();
                    let list = (0..SERVERS).filter(|i| offered[*i]);
                    let list = list.map(|i| (format!("s{i}"), places[i], 10)).collect();
                    group.set_learned_marking_down(list, |at| lost[places.iter().position(|p| *p == at).unwrap()]);
                    for (lease, told) in &mut leases {
                        let index = places.iter().position(|p| *p == lease.address()).unwrap();
                        *told |= held.contains(&lease.server().id()) && !offered[index] && lost[index];
                    }
                }
                Step::Check(index, outcome, count) => {
                    let Some(server) = group.checked().into_iter().find(|s| s.address() == places[index]) else {
                        continue;
                    };
                    for _ in 0..count {
                        let went_down = group.report(&server, outcome) == Some(false);
                        for (lease, told) in &mut leases {
                            let same = lease.server().id() == server.id();
                            *told |= same && went_down && outcome == CheckOutcome::Failed;
                        }
                    }
                }
            }
            for (lease, told) in &leases {
                prop_assert_eq!(is_lost(lease), *told, "{}", lease.address());
            }
        }
    }
}
