//! A member takes more than its share: of the clients' time by instances that do not answer, and of the table.

use std::time::{Duration, Instant};

use crate::liar::{Liar, Script};
use crate::mesh::{Mesh, Programs, address, eventually, eventually_within};
use crate::namespace::{Host, Network, isolated};
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
fn a_full_table_has_room_for_an_honest_service() {
    isolated("shares::a_full_table_has_room_for_an_honest_service", table);
}

/// 72 nodes on two addresses offer 1,024 instances each, then an honest service starts.
async fn table(network: Network) {
    /// Of the first host, more than half of the table; of the second one, less.
    const NODES: [u16; 2] = [44, 28];
    const INSTANCES: u16 = 1024;
    const CAPACITY: u64 = 65_536;
    /// Limit of the time to fill it.
    const FILLING: Duration = Duration::from_secs(300);
    const WARNING: &str = "too many instances";
    let programs = Programs::compiled().await;
    let file = programs.file("c.conf", CLIENT_OF_C);
    let lb = network.host("lb", address(15));
    let lb = programs.start(lb, &[], &["--load".as_ref(), file.as_os_str()]);
    lb.answers().await;
    let hosts = [("first", 66), ("second", 67)].map(|(name, last)| network.host(name, address(last)));
    let began = Instant::now();
    let fill = async |host: &Host, nodes: u16| {
        let own = host.address.to_string();
        let mut liars = Vec::new();
        for number in 0..nodes {
            let offer = |it| instance(&format!("x{number}-{it}"), &own, 10_000 + it, 10);
            let script = Script {
                instances: (0..INSTANCES).map(offer).collect(),
                nodes: Vec::new(),
            };
            let liar = Liar::join_gossiping(host, 20_000 + number, vec![lb.host.address], script);
            liar.introduce(host, lb.host.address).await;
            liars.push(liar);
        }
        liars
    };
    let _liars = tokio::join!(fill(&hosts[0], NODES[0]), fill(&hosts[1], NODES[1]));
    eventually_within(FILLING, "the table is full", async || {
        let known = lb.metric("sidecar_mesh_instances").await;
        (known < CAPACITY).then(|| format!("{known} instances; {}", lb.log()))
    })
    .await;
    println!("the table was full after {:.1?}", began.elapsed());

    let began = Instant::now();
    let late = programs.start(network.host("late", address(16)), &["service", "c"], &[]);
    eventually(
        "a service that starts late is reached",
        async || match harness::http::get(lb.at(8085), "/", Duration::from_secs(5)).await {
            Ok(answer) if answer.status == 200 => None,
            other => Some(format!("{other:?}; log: {}", late.log())),
        },
    )
    .await;
    println!(
        "a service that started then was reached after {:.1?}",
        began.elapsed()
    );
    let cut = lb.metric("sidecar_mesh_cut_instances_total").await;
    println!("instances that were dropped: {cut}");
    let offered = u64::from(NODES.iter().sum::<u16>()) * u64::from(INSTANCES) + 1;
    assert!(cut >= offered - CAPACITY, "{cut} dropped of {offered} offered");
    let [first, second] = hosts.map(|host| host.address);
    let log = lb.log();
    let named = |it: std::net::Ipv4Addr| {
        let node = format!("node={it}");
        log.lines()
            .any(|line| line.contains(WARNING) && line.contains(&node))
    };
    assert!(named(first), "the address that offers most is not named: {log}");
    assert!(
        !named(second) && !named(late.host.address),
        "others were cut: {log}"
    );
}

/// Commands for a load balancer of service c.
const CLIENT_OF_C: &str = "add server-groups sgs-c
add server-group c timeout 500 period 1000 up 2 down 3
add server-group c to server-groups sgs-c
add tcp-lb lb-c address 0.0.0.0:8085 server-groups sgs-c
add smart-group-delegate delegate-c service my-service-c zone example server-group c
";
