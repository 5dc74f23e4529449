//! A member takes more than its share: of the clients' time by instances that do not answer, and of the table.

use std::time::Duration;

use crate::liar::{Liar, Script};
use crate::mesh::{Mesh, eventually, eventually_within};
use crate::namespace::{Network, isolated};
use crate::traffic::Traffic;
use crate::wire::instance;

#[test]
fn instances_that_never_answer_delay_no_request() {
    isolated("shares::instances_that_never_answer_delay_no_request", dead);
}

/// Five dead addresses a second are offered; each for the first time.
async fn dead(network: Network) {
    const TIME: Duration = Duration::from_secs(6);
    let mesh = Mesh::start(network).await;
    let own = mesh.attacker.address.to_string();
    let script = Script {
        instances: vec![instance("liar", &own, 4000, 10)],
        nodes: Vec::new(),
    };
    let liar = Liar::join(&mesh.attacker, mesh.addresses(), script);
    mesh.all_know("liar").await;
    let failures = async || {
        let [frontend, lb] =
            [&mesh.frontend, &mesh.lb].map(|it| it.metric("sidecar_group_connect_failures_total"));
        frontend.await + lb.await
    };
    let before = failures().await;
    let traffic = Traffic::start(&mesh);
    for weight in [10, 65_535] {
        let mut port = 10_000;
        let offering = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(200));
            loop {
                ticks.tick().await;
                port += 1;
                let lie = instance("a", "10.77.0.67", port, weight);
                let at_node = instance("a", &own, port, weight);
                for lie in [lie, at_node] {
                    liar.add(&mesh.attacker, &mesh.addresses(), &lie).await;
                }
            }
        };
        let outcome = tokio::select! {
            outcome = traffic.observe(300, TIME) => outcome,
            () = offering => unreachable!("it offers on"),
        };
        outcome.assert_failed_at_most(0.0, &format!("dead instances of weight {weight}"));
    }
    let attempts = failures().await - before;
    println!("attempts of clients to connect to dead instances: {attempts}");
    assert_eq!(attempts, 0, "attempts of clients to connect to dead instances");
}

#[test]
#[ignore = "72 nodes on two addresses did not fill the table within 8 minutes"]
fn a_full_table_has_room_for_an_honest_service() {
    isolated("shares::a_full_table_has_room_for_an_honest_service", table);
}

/// 72 nodes on two addresses offer 1,024 instances each.
async fn table(network: Network) {
    const NODES: u16 = 36;
    const INSTANCES: u16 = 1024;
    /// Instances that are known at least, and equal counts in a row after which no more are taken.
    const SOME: u64 = 10_000;
    const STABLE: u32 = 100;
    /// Limit of the time to fill it: what an address may cost a sidecar in a minute is bounded.
    const FILLING: Duration = Duration::from_secs(600);
    let mesh = Mesh::start(network).await;
    let second = mesh.network.host("second", crate::mesh::address(67));
    let mut liars = Vec::new();
    for host in [&mesh.attacker, &second] {
        let own = host.address.to_string();
        for number in 0..NODES {
            let offers = (0..INSTANCES).map(|it| instance(&format!("x{number}-{it}"), &own, 10_000 + it, 10));
            let port = 20_000 + number;
            liars.push(Liar::join_at(
                host,
                port,
                mesh.addresses(),
                Script {
                    instances: offers.collect(),
                    nodes: Vec::new(),
                },
            ));
        }
    }
    let (mut last, mut same) = (0, 0);
    eventually_within(FILLING, "the liars' services are known", async || {
        let known = mesh.lb.metric("sidecar_mesh_instances").await;
        same = if known == last { same + 1 } else { 0 };
        last = known;
        (known < SOME || same < STABLE).then(|| format!("{known} instances"))
    })
    .await;
    println!("instances in the table: {last}");
    let honest = mesh.network.host("late", crate::mesh::address(16));
    let member = mesh.programs.start(honest, &["service", "c"], &[]);
    eventually("an honest service that starts late", async || {
        let known = mesh.lb.instances("c").await;
        known
            .is_empty()
            .then(|| format!("it is not known; log: {}", mesh.lb.log()))
    })
    .await;
    drop(member);
}
