//! A host that is no member makes nodes connect to addresses of its choice, by naming nodes there.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::liar::{Liar, Script};
use crate::mesh::{Mesh, eventually};
use crate::namespace::{METADATA, Network, isolated};
use crate::trap::Trap;
use crate::wire::{self, PORT, healthy};

/// The port of the traps.
const TRAP: u16 = 6379;
/// Time within which a node asks all that it was told of: forgotten are nodes that have not answered for 30 s.
const TIME: Duration = Duration::from_secs(30);
/// Most attempts to connect to an address that has never answered as a node, in a minute.
const ATTEMPTS: u64 = 3;

#[test]
fn nodes_named_at_addresses_of_the_sidecar_itself_get_no_connection() {
    isolated(
        "strangers::nodes_named_at_addresses_of_the_sidecar_itself_get_no_connection",
        own_addresses,
    );
}

async fn own_addresses(network: Network) {
    let mesh = Mesh::start(network).await;
    let traps = mesh.members().map(|member| mesh.trap_at(member, TRAP));
    let addresses = [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "224.0.0.1",
    ];
    let mut named: Vec<Value> = addresses.map(|it| healthy("x", it, TRAP)).to_vec();
    named.push(healthy("x", "255.255.255.255", TRAP));
    for member in mesh.members() {
        let own = healthy("x", &member.host.address.to_string(), TRAP);
        let mine = [named.clone(), vec![own]].concat();
        name(&mesh, member.host.address, mine).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let reached = traps.map(|it| (it.connections(), it.requests()));
    println!("connections and requests at each member's own port: {reached:?}");
    assert_eq!(reached, [(0, 0); 5], "connections and requests");
}

/// Tells a node of these nodes, as the attacker.
async fn name(mesh: &Mesh, member: std::net::Ipv4Addr, nodes: Vec<Value>) {
    let stream = mesh.attacker.connect(wire::endpoint(member)).await.unwrap();
    let (status, _) = wire::exchange(stream, "node", &json!(nodes)).await.unwrap();
    assert_eq!(status, 200);
}

#[test]
fn a_third_party_is_connected_to_three_times_a_minute_by_each_node() {
    isolated(
        "strangers::a_third_party_is_connected_to_three_times_a_minute_by_each_node",
        third_party,
    );
}

async fn third_party(network: Network) {
    const NAMED: u16 = 4000;
    let mesh = Mesh::start(network).await;
    let addresses = [mesh.bystander.address, METADATA].map(|it| SocketAddr::from((it, TRAP)));
    let trap = Trap::at(&mesh.bystander, &addresses);
    let before = mesh.bystander.received();
    for member in mesh.addresses() {
        let at = mesh.bystander.address.to_string();
        let ports = [TRAP].into_iter().chain(20_000..20_000 + NAMED);
        let mut named: Vec<Value> = ports.map(|port| healthy("x", &at, port)).collect();
        named.push(healthy("x", &METADATA.to_string(), TRAP));
        for part in named.chunks(1000) {
            name(&mesh, member, part.to_vec()).await;
        }
    }
    tokio::time::sleep(TIME).await;
    let received = mesh.bystander.received() - before;
    println!(
        "packets at the third party: {received}; connections to its open port: {}",
        trap.connections()
    );
    // An accepted attempt takes up to ten segments. Searches come as well, a few datagrams from each node.
    let nodes = mesh.members().len() as u64;
    assert!(
        trap.connections() <= nodes * ATTEMPTS,
        "{} connections",
        trap.connections()
    );
    assert!(received <= nodes * (10 * ATTEMPTS + 20), "{received} packets");
    // The real nodes are not affected.
    eventually("all are up", async || {
        let view = mesh.lb.view().await;
        let up = view["nodes"]
            .as_array()?
            .iter()
            .filter(|it| it["health"] == "UP")
            .count();
        (up < 4).then(|| view["nodes"].to_string())
    })
    .await;
}

#[test]
fn a_member_that_names_nodes_makes_no_more_connections_than_a_stranger() {
    isolated(
        "strangers::a_member_that_names_nodes_makes_no_more_connections_than_a_stranger",
        member,
    );
}

async fn member(network: Network) {
    let mesh = Mesh::start(network).await;
    let traps = mesh.members().map(|member| mesh.trap_at(member, TRAP));
    let trap = Trap::at(&mesh.bystander, &[(mesh.bystander.address, TRAP).into()]);
    let own = mesh.attacker.address.to_string();
    let named = [
        ("127.0.0.1", TRAP),
        ("::ffff:127.0.0.1", TRAP),
        ("10.77.0.99", TRAP),
        ("10.77.0.99", PORT),
    ];
    let script = Script {
        instances: vec![wire::instance("liar", &own, 4000, 10)],
        nodes: named.map(|(address, port)| healthy("x", address, port)).to_vec(),
    };
    let liar = Liar::join(&mesh.attacker, mesh.addresses(), script);
    mesh.all_know("liar").await;
    liar.tell_nodes(&mesh.attacker, &mesh.addresses()).await;
    tokio::time::sleep(TIME).await;
    println!("connections at the third party: {}", trap.connections());
    assert_eq!(
        traps.map(|it| it.connections()),
        [0; 5],
        "connections of members to themselves"
    );
    assert!(
        trap.connections() <= 5 * ATTEMPTS,
        "{} connections",
        trap.connections()
    );
}
