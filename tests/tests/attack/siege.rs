//! Everything at once, for as long as `MESH_ATTACK_SECONDS` says: a member that lies and a host that is no member, against
//! five members under traffic.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::time::{interval, sleep};

use crate::forgery::Forger;
use crate::liar::{Liar, Script};
use crate::mesh::{Mesh, Usage, address};
use crate::namespace::{Host, METADATA, Network, isolated};
use crate::traffic::Traffic;
use crate::trap::Trap;
use crate::wire::{self, PORT, healthy, instance};

const SECONDS: &str = "MESH_ATTACK_SECONDS";
const DEFAULT_SECONDS: u64 = 10;
/// Time in which the attack reaches its full extent; what the sidecars use then is the base of their growth.
const WARM_UP: Duration = Duration::from_secs(5);
/// Share of the requests that may fail.
const SHARE: f64 = 0.01;
/// Growth of a sidecar that is none: allocators keep what they once needed.
const MEMORY: u64 = 4 * 1024;
const DESCRIPTORS: u64 = 64;
/// Ports of the attackers' hosts.
const OWN: u16 = 4000;
const TRAP: u16 = 6379;

#[test]
fn a_hostile_member_and_a_hostile_stranger_together_take_nothing() {
    isolated(
        "siege::a_hostile_member_and_a_hostile_stranger_together_take_nothing",
        siege,
    );
}

async fn siege(network: Network) {
    let time = std::env::var(SECONDS)
        .ok()
        .map_or(DEFAULT_SECONDS, |it| it.parse().unwrap());
    let time = Duration::from_secs(time);
    let mesh = Mesh::start(network).await;
    let stranger = mesh.network.host("stranger", address(67));
    let own = mesh.members().map(|member| mesh.trap_at(member, TRAP));
    let others =
        [&mesh.attacker, &stranger, &mesh.bystander].map(|it| Trap::at(it, &[(it.address, TRAP).into()]));
    let cloud = Trap::at(&mesh.bystander, &[(METADATA, TRAP).into()]);
    let own_service = Trap::at(&mesh.attacker, &[(mesh.attacker.address, OWN).into()]);
    let traffic = Traffic::start(&mesh);
    let script = Script {
        instances: lies(&mesh).await,
        nodes: made_up_nodes(&mesh, 0),
    };
    let liar = Liar::join(&mesh.attacker, mesh.addresses(), script);
    mesh.all_know("liar").await;

    let mut used = Vec::new();
    let observing = async {
        sleep(WARM_UP).await;
        let end = Instant::now() + time;
        let outcome = traffic.observe(0, time);
        let sampling = async {
            while Instant::now() < end {
                used.push(mesh.members().map(|it| it.usage()));
                sleep(Duration::from_millis(500)).await;
            }
        };
        tokio::join!(outcome, sampling).0
    };
    let outcome = tokio::select! {
        outcome = observing => outcome,
        () = offer_dead_instances(&mesh, &liar) => unreachable!("it goes on"),
        () = speak_for_others(&mesh, &stranger) => unreachable!("it goes on"),
        () = forge(&mesh, &stranger) => unreachable!("it goes on"),
        () = hold_connections(&mesh, &stranger) => unreachable!("it goes on"),
    };

    let taken: u64 = own
        .iter()
        .chain(&others)
        .chain([&cloud])
        .map(Trap::requests)
        .sum();
    println!(
        "requests at the attackers' addresses: {taken}; of its own service: {}",
        own_service.requests()
    );
    let growth = growth(&used);
    println!(
        "growth of each sidecar: {growth:?} (KiB, descriptors); at the end {:?}",
        used.last()
    );
    println!("failures: {:#?}", outcome.failures);
    outcome.assert_failed_at_most(SHARE, "a hostile member and a hostile stranger");
    assert_eq!(taken, 0, "requests that an attacker received or sent to others");
    let flat = |(memory, descriptors): &(u64, u64)| *memory <= MEMORY && *descriptors <= DESCRIPTORS;
    assert!(growth.iter().all(flat), "growth (KiB, descriptors): {growth:?}");
}

/// Instances that the member offers in its own name.
async fn lies(mesh: &Mesh) -> Vec<Value> {
    let attacker = mesh.attacker.address.to_string();
    let mut lies = vec![instance("liar", &attacker, OWN, 10)];
    for address in [
        "127.0.0.1",
        "0.0.0.0",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "169.254.169.254",
    ] {
        for port in [TRAP, 18080, 9090, 8081, 1080] {
            lies.push(instance("a", address, port, u64::from(u16::MAX)));
        }
    }
    for member in mesh.members() {
        // Listeners of the members, with which they would reach themselves.
        for port in [TRAP, 8081, 8082, 9090] {
            lies.push(instance("b", &member.host.address.to_string(), port, 1 << 32));
        }
        for service in ["a", "b"] {
            for known in member.instances(service).await {
                let (address, port) = known.rsplit_once(':').unwrap();
                lies.push(instance(service, address, port.parse().unwrap(), 0));
            }
        }
    }
    lies
}

/// Nodes that do not exist, 500 at once.
fn made_up_nodes(mesh: &Mesh, round: u16) -> Vec<Value> {
    let bystander = mesh.bystander.address.to_string();
    let ports = (0..500).map(|it| 20_000 + (round % 40) * 500 + it);
    let mut nodes: Vec<Value> = ports.map(|port| healthy("x", &bystander, port)).collect();
    for address in ["127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "169.254.169.254"] {
        nodes.push(healthy("x", address, TRAP));
    }
    nodes
}

/// Five a second, each at a new port of an address where nobody is.
async fn offer_dead_instances(mesh: &Mesh, liar: &Liar) {
    let mut ticks = interval(Duration::from_millis(200));
    let mut port = 10_000;
    loop {
        ticks.tick().await;
        port = if port == u16::MAX { 10_000 } else { port + 1 };
        let lie = instance("a", "10.77.0.68", port, u64::from(u16::MAX));
        liar.add(&mesh.attacker, &mesh.addresses(), &lie).await;
    }
}

/// Says in the members' names what they never said, and names nodes that do not exist.
async fn speak_for_others(mesh: &Mesh, stranger: &Host) {
    let mut ticks = interval(Duration::from_millis(250));
    let (victim, members) = (&mesh.a1.host, mesh.addresses());
    let node = wire::node(&victim.name, victim.address, PORT);
    let lie = instance("a", &stranger.address.to_string(), TRAP, u64::from(u16::MAX));
    let claims = [
        ("khala.local", json!({"node": node, "khalaNodes": [lie]})),
        ("khala.add", json!({"node": node, "khalaNode": lie})),
        ("khala.sync", json!([{"node": node, "khalaNodes": [lie]}])),
    ];
    let known = mesh.lb.instances("a").await;
    let at = |text: &String| {
        let (address, port) = text.rsplit_once(':').unwrap();
        instance("a", address, port.parse().unwrap(), 10)
    };
    let removals = known
        .iter()
        .map(|it| ("khala.remove", json!({"node": node, "khalaNode": at(it)})));
    let claims: Vec<_> = claims.into_iter().chain(removals).collect();
    for round in 0.. {
        ticks.tick().await;
        let nodes = ("node", json!(made_up_nodes(mesh, round)));
        for (kind, body) in claims.iter().chain([&nodes]) {
            for member in &members {
                if let Ok(stream) = stranger.connect(wire::endpoint(*member)).await {
                    // It may be refused.
                    let _ = tokio::time::timeout(Duration::from_secs(1), wire::exchange(stream, kind, body))
                        .await;
                }
            }
        }
    }
}

/// Forges leaves of the services' nodes, 20 a second, and other datagrams in between.
async fn forge(mesh: &Mesh, stranger: &Host) {
    let mut ticks = interval(Duration::from_millis(50));
    let forger = Forger::at(stranger);
    loop {
        ticks.tick().await;
        for of in [&mesh.a1.host, &mesh.a2.host, &mesh.b.host] {
            for to in mesh.addresses() {
                for kind in ["leave", "search", "inform"] {
                    forger.send(of.address, to, &wire::datagram(kind, &of.name, PORT, ""));
                }
                forger.send(
                    of.address,
                    to,
                    &wire::datagram("search", "another", PORT, "#1,0,0"),
                );
                forger.send(stranger.address, to, b"$4\r\n{}{}\r\n");
            }
        }
    }
}

/// Connects to discovery's port and sends requests that never end.
async fn hold_connections(mesh: &Mesh, stranger: &Host) {
    let mut ticks = interval(Duration::from_millis(20));
    let mut held = std::collections::VecDeque::new();
    loop {
        for member in mesh.addresses() {
            ticks.tick().await;
            if let Ok(mut stream) = stranger.connect(wire::endpoint(member)).await {
                let _ = stream
                    .write_all(b"PUT /discovery/api/v1/exchange/node HTTP/1.1\r\nContent-Length: 9")
                    .await;
                held.push_back(stream);
            }
            if held.len() > 500 {
                held.pop_front();
            }
        }
    }
}

/// How much more each sidecar used in the last fifth of the time than in the first one.
fn growth(used: &[[Usage; 5]]) -> Vec<(u64, u64)> {
    let part = (used.len() / 5).max(1);
    let (first, last) = (&used[..part], &used[used.len() - part..]);
    let most = |part: &[[Usage; 5]], member: usize| {
        let memory = part.iter().map(|it| it[member].memory).max().unwrap();
        (
            memory,
            part.iter().map(|it| it[member].descriptors).max().unwrap(),
        )
    };
    let grown = |member| {
        let (before, after) = (most(first, member), most(last, member));
        (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1))
    };
    (0..5).map(grown).collect()
}
