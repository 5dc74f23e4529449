//! Leases are notified if and only if the connections of their server end.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Instant;

use proptest::prelude::*;
use sidecar::balance::service::LastChoice;
use sidecar::balance::{CheckOutcome, LearnedServer, Lease, Method, Server, ServerGroup, Tried};

use super::{CLIENT, address, config, prove};

const SERVERS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Pick,
    /// The mesh has these from now on.
    Learn([Learned; SERVERS]),
    /// Consecutive checks of a server with this outcome.
    Check(usize, CheckOutcome, u32),
}

/// What the mesh has of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Learned {
    Up,
    LastChoice,
    LeaveClaimed,
    Withdrawn,
    /// Another node is in its place.
    Replaced,
}

fn learned() -> impl Strategy<Value = Learned> {
    prop::sample::select(vec![
        Learned::Up,
        Learned::LastChoice,
        Learned::LeaveClaimed,
        Learned::Withdrawn,
        Learned::Replaced,
    ])
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop::sample::select(vec![
        CheckOutcome::Passed,
        CheckOutcome::Refused,
        CheckOutcome::Failed,
    ]);
    prop_oneof![
        3 => Just(Step::Pick),
        2 => [learned(), learned(), learned()].prop_map(Step::Learn),
        2 => (0..SERVERS, outcome, 1..5u32).prop_map(|(server, outcome, count)| Step::Check(server, outcome, count)),
    ]
}

fn is_down(lease: &Lease) -> bool {
    let waiting = pin!(lease.down());
    waiting.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn is_last_choice(group: &ServerGroup, server: &Server) -> bool {
    let servers = group.servers();
    let mut view = servers.iter().filter(|view| view.name == server.name());
    view.any(|view| view.last_choice == Some(LastChoice::NodeDown))
}

/// If a server is usable, expects the connections of all last choices to have ended.
fn supersede(group: &ServerGroup, leases: &mut [(Lease, bool)]) {
    let held: Vec<u64> = group.checked().iter().map(|server| server.id()).collect();
    if group.servers().iter().any(|server| server.up) {
        for (lease, notified) in leases {
            *notified |= held.contains(&lease.server().id()) && is_last_choice(group, lease.server());
        }
    }
}

fn addresses() -> [SocketAddr; SERVERS] {
    std::array::from_fn(address)
}

proptest! {
    #[test]
    fn leases_end_only_with_the_connections_of_their_server(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let group = ServerGroup::new("g", config(), Method::Wrr);
        let addresses = addresses();
        // Each lease, and whether its server has gone down since.
        let mut leases: Vec<(Lease, bool)> = Vec::new();
        for step in steps {
            match step {
                Step::Pick => {
                    leases.extend(group.pick(CLIENT, &Tried::new(Instant::now())).map(|lease| (lease, false)));
                }
                Step::Learn(learned) => {
                    let held: Vec<u64> = group.checked().iter().map(|server| server.id()).collect();
                    let index_of = |at| addresses.iter().position(|p| *p == at).unwrap();
                    let list = (0..SERVERS).filter(|i| !matches!(learned[*i], Learned::Withdrawn | Learned::Replaced));
                    let list = list.map(|i| LearnedServer {
                        name: format!("s{i}"),
                        address: addresses[i],
                        weight: 10,
                        last_choice: match learned[i] {
                            Learned::LastChoice => Some(LastChoice::NodeDown),
                            Learned::LeaveClaimed => Some(LastChoice::LeaveClaimed),
                            Learned::Up | Learned::Withdrawn | Learned::Replaced => None,
                        },
                        at_node: true,
                    });
                    group.follow_mesh(list, |at| learned[index_of(at)] == Learned::Replaced);
                    prove(&group);
                    for (lease, notified) in &mut leases {
                        let replaced = learned[index_of(lease.address())] == Learned::Replaced;
                        *notified |= held.contains(&lease.server().id()) && replaced;
                    }
                    supersede(&group, &mut leases);
                }
                Step::Check(index, outcome, count) => {
                    let Some(server) = group.checked().into_iter().find(|s| s.address() == addresses[index]) else {
                        continue;
                    };
                    for _ in 0..count {
                        let last_choice = is_last_choice(&group, &server);
                        let went_down = group.report(&server, outcome) == Some(false) && !last_choice;
                        for (lease, notified) in &mut leases {
                            let same = lease.server().id() == server.id();
                            *notified |= same && went_down && outcome == CheckOutcome::Failed;
                        }
                        supersede(&group, &mut leases);
                    }
                }
            }
            for (lease, notified) in &leases {
                prop_assert_eq!(is_down(lease), *notified, "{}", lease.address());
            }
        }
    }
}
