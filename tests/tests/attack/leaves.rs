//! Datagrams with the source and the name of a member, sent by a host that is none.

use std::time::Duration;

use crate::forgery::Forger;
use crate::mesh::Mesh;
use crate::namespace::{Network, isolated};
use crate::traffic::Traffic;
use crate::wire;

/// Share of the requests that may fail.
const SHARE: f64 = 0.01;

#[test]
fn forged_leaves_cost_at_most_one_request_in_a_hundred() {
    isolated(
        "leaves::forged_leaves_cost_at_most_one_request_in_a_hundred",
        leaves,
    );
}

async fn leaves(network: Network) {
    const TIME: Duration = Duration::from_secs(6);
    let mesh = Mesh::start(network).await;
    let forger = Forger::at(&mesh.attacker);
    let traffic = Traffic::start(&mesh);
    let mut outcomes = Vec::new();
    for rate in [1, 20, 100] {
        let forging = async {
            let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
            loop {
                ticks.tick().await;
                forge(&mesh, &forger);
            }
        };
        let outcome = tokio::select! {
            outcome = traffic.observe(500, TIME) => outcome,
            () = forging => unreachable!("it forges on"),
        };
        outcomes.push((rate, outcome));
    }
    for (rate, outcome) in outcomes {
        outcome.assert_failed_at_most(
            SHARE,
            &format!("{rate} forged leaves a second of each service's nodes"),
        );
    }
}

/// To every member, a leave of each that offers a service.
fn forge(mesh: &Mesh, forger: &Forger) {
    for leaving in [&mesh.a1, &mesh.a2, &mesh.b] {
        let payload = wire::datagram("leave", &leaving.host.name, wire::PORT, "");
        for member in mesh.members() {
            if member.host.address != leaving.host.address {
                forger.send(leaving.host.address, member.host.address, &payload);
            }
        }
    }
}
