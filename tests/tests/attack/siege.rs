//! Everything at once, for as long as `MESH_ATTACK_SECONDS` says: a member that lies and a host that is no member, against
//! five members under traffic. With a mesh key, neither has it.

use std::ffi::OsStr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::{interval, sleep};

use crate::doors::{PASSWORD, RESP, log_in};
use crate::forgery::Forger;
use crate::holders::{Hold, guess, hold};
use crate::liar::{Liar, Script};
use crate::mesh::{Mesh, Programs, STATUS, Usage, address, eventually};
use crate::namespace::{Host, METADATA, Network, isolated};
use crate::traffic::Traffic;
use crate::trap::Trap;
use crate::wire::{self, PORT, healthy, instance};

const SECONDS: &str = "MESH_ATTACK_SECONDS";
const DEFAULT_SECONDS: u64 = 10;
/// Time in which the attack reaches its full extent; what the sidecars use then is the base of their growth.
const WARM_UP: Duration = Duration::from_secs(5);
/// Share of the requests that may fail if a member is hostile.
const SHARE: f64 = 0.01;
/// Growth of a sidecar that is none, in KiB: allocators keep what they once needed.
const MEMORY: u64 = 4 * 1024;
/// Descriptors that a sidecar may have beyond those before the attack, once it is over: the users' connections.
const DESCRIPTORS: u64 = 64;
/// Ports of the attackers' hosts.
const OWN: u16 = 4000;
const TRAP: u16 = 6379;
const KEY_FILE: &str = "--discovery-key-file";

#[test]
fn a_hostile_member_and_a_hostile_stranger_together_take_nothing() {
    isolated(
        "siege::a_hostile_member_and_a_hostile_stranger_together_take_nothing",
        async |network| siege(network, Key::None).await,
    );
}

#[test]
fn attackers_without_the_key_of_a_keyed_mesh_fail_no_request() {
    isolated(
        "siege::attackers_without_the_key_of_a_keyed_mesh_fail_no_request",
        async |network| siege(network, Key::Secret).await,
    );
}

/// Whether the mesh has a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    /// None: the attackers' host is a member.
    None,
    /// One that the attackers do not have.
    Secret,
}

async fn siege(network: Network, key: Key) {
    let time = std::env::var(SECONDS)
        .ok()
        .map_or(DEFAULT_SECONDS, |it| it.parse().unwrap());
    let time = Duration::from_secs(time);
    let programs = Programs::compiled().await;
    let password = programs.file("password", PASSWORD);
    let keys = ["A", "B"].map(|byte| programs.file(byte, &format!("{}=\n", byte.repeat(43))));
    let resp = ["--resp-controller", "0.0.0.0:16379", "--resp-password-file"].map(OsStr::new);
    let mut arguments = [&resp[..], &[password.as_os_str()]].concat();
    if key == Key::Secret {
        arguments.extend([OsStr::new(KEY_FILE), keys[0].as_os_str()]);
    }
    let mesh = Mesh::start_with(network, programs, &arguments).await;
    let stranger = mesh.network.host("stranger", address(67));
    let own = mesh.members().map(|member| mesh.trap_at(member, TRAP));
    let others =
        [&mesh.attacker, &stranger, &mesh.bystander].map(|it| Trap::at(it, &[(it.address, TRAP).into()]));
    let cloud = Trap::at(&mesh.bystander, &[(METADATA, TRAP).into()]);
    let own_service = Trap::at(&mesh.attacker, &[(mesh.attacker.address, OWN).into()]);
    let before = mesh.members().map(|it| it.usage().descriptors);
    let traffic = Traffic::start(&mesh);
    let script = Script {
        instances: lies(&mesh).await,
        nodes: made_up_nodes(&mesh, 0),
    };
    let liar = Liar::join(&mesh.attacker, mesh.addresses(), script);
    // A whole sidecar with another key offers service a as well.
    let other = (key == Key::Secret).then(|| {
        let host = mesh.network.host("other", address(70));
        let arguments = [OsStr::new(KEY_FILE), keys[1].as_os_str()];
        mesh.programs.start(host, &["service", "a"], &arguments)
    });
    if key == Key::None {
        mesh.all_know("liar").await;
    }

    let mut used = Vec::new();
    let observing = async {
        sleep(WARM_UP).await;
        let end = Instant::now() + time;
        let outcome = traffic.observe(0, time);
        let operating = operate(&mesh, end);
        let sampling = async {
            while Instant::now() < end {
                used.push(mesh.members().map(|it| it.usage()));
                sleep(Duration::from_millis(500)).await;
            }
        };
        let (outcome, operated, ()) = tokio::join!(outcome, operating, sampling);
        (outcome, operated)
    };
    let (outcome, (entered, attempts)) = tokio::select! {
        outcome = observing => outcome,
        () = offer_dead_instances(&mesh, &liar) => unreachable!("it goes on"),
        () = speak_for_others(&mesh, &stranger) => unreachable!("it goes on"),
        () = forge(&mesh, &stranger) => unreachable!("it goes on"),
        () = hold_doors(&mesh, &stranger) => unreachable!("it goes on"),
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
    drop((liar, other));
    let growth = growth(&used);
    println!(
        "memory that each sidecar grew by: {growth:?} KiB; at the end {:?}",
        used.last()
    );
    println!("failures: {:#?}", outcome.failures);
    println!("logins with the right password: {entered} of {attempts} attempts");
    let (share, attackers) = match key {
        Key::None => (SHARE, "a hostile member and a hostile stranger"),
        Key::Secret => (0.0, "attackers without the key"),
    };
    outcome.assert_failed_at_most(share, attackers);
    assert!(entered > 0, "no login with the right password");
    if key == Key::Secret {
        for member in mesh.members() {
            let known = (member.instances("liar").await, member.instances("a").await.len());
            assert_eq!(
                known,
                (Vec::new(), 2),
                "{} knows what has no key",
                member.host.name
            );
        }
    }
    assert_eq!(taken, 0, "requests that an attacker received or sent to others");
    assert!(
        growth.iter().all(|grown| *grown <= MEMORY),
        "growth in KiB: {growth:?}"
    );
    eventually("what the attackers held is free again", async || {
        let now = mesh.members().map(|it| it.usage().descriptors);
        let is_free = now
            .iter()
            .zip(before)
            .all(|(now, before)| *now <= before + DESCRIPTORS);
        (!is_free).then(|| format!("descriptors {now:?}, before the attack {before:?}"))
    })
    .await;
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

/// Logs in at the load balancer's RESP controller again and again; an attempt may have to make room for others. How often it
/// succeeded, and after how many attempts.
async fn operate(mesh: &Mesh, end: Instant) -> (u32, u32) {
    let (mut entered, mut attempts) = (0, 0);
    while Instant::now() < end {
        eventually("the right password gets in", async || {
            attempts += 1;
            log_in(&mesh.bystander, &mesh.lb, PASSWORD).await.err()
        })
        .await;
        entered += 1;
        sleep(Duration::from_millis(500)).await;
    }
    (entered, attempts)
}

/// Holds what a stranger can hold of the members' open ports.
async fn hold_doors(mesh: &Mesh, stranger: &Host) {
    let [discovery, status, resp] = [PORT, STATUS, RESP].map(|port| mesh.members().map(|it| it.at(port)));
    let services = [8081, 8082].map(|port| mesh.lb.at(port));
    let guessed = mesh.members();
    tokio::join!(
        hold(stranger, &discovery, Hold::HalfAnExchange),
        hold(stranger, &status, Hold::NeverRead("/mesh")),
        hold(stranger, &services, Hold::NeverRead("/")),
        hold(stranger, &status, Hold::Trickle),
        hold(stranger, &discovery, Hold::Trickle),
        hold(stranger, &resp, Hold::Trickle),
        hold(stranger, &services, Hold::Trickle),
        guess(stranger, &guessed),
    );
}

/// How much more memory each sidecar had in the last fifth of the time than in the first one, in KiB.
fn growth(used: &[[Usage; 5]]) -> [u64; 5] {
    let part = (used.len() / 5).max(1);
    let most = |part: &[[Usage; 5]], member: usize| part.iter().map(|it| it[member].memory).max();
    std::array::from_fn(|member| {
        let (first, last) = (
            most(&used[..part], member),
            most(&used[used.len() - part..], member),
        );
        last.unwrap_or_default().saturating_sub(first.unwrap_or_default())
    })
}
