//! Listeners that reach themselves: by a server that a member offers, by one that a command names, and through another
//! sidecar.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::liar::{Liar, Script};
use crate::mesh::{Member, Mesh, address, eventually};
use crate::namespace::{Network, isolated};
use crate::traffic::Traffic;
use crate::wire::instance;

/// Descriptors that a sidecar may use beyond those before the attack.
const DESCRIPTORS: u64 = 600;
const TIME: Duration = Duration::from_secs(4);

/// The most descriptors that a sidecar uses within the time.
async fn most(member: &Member) -> u64 {
    let end = std::time::Instant::now() + TIME;
    let mut most = 0;
    while std::time::Instant::now() < end {
        most = most.max(member.usage().descriptors);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    most
}

#[test]
fn a_member_that_offers_a_listener_as_its_own_server_opens_no_loop() {
    isolated(
        "listeners::a_member_that_offers_a_listener_as_its_own_server_opens_no_loop",
        offered,
    );
}

async fn offered(network: Network) {
    let mesh = Mesh::start(network).await;
    let before = mesh.lb.usage().descriptors;
    let mut instances = vec![instance("liar", &mesh.attacker.address.to_string(), 4000, 10)];
    let own = mesh.lb.host.address.to_string();
    for at in [
        "127.0.0.1",
        "0.0.0.0",
        "::ffff:127.0.0.1",
        &own,
        &format!("::ffff:{own}"),
    ] {
        instances.push(instance("a", at, 8081, 65_535));
        instances.push(instance("b", at, 8082, 65_535));
    }
    let script = Script {
        instances,
        nodes: Vec::new(),
    };
    let _liar = Liar::join(&mesh.attacker, mesh.addresses(), script);
    mesh.all_know("liar").await;
    let traffic = Traffic::start(&mesh);
    let (outcome, most) = tokio::join!(traffic.observe(300, TIME), most(&mesh.lb));
    println!("descriptors of the load balancer: {before} before, at most {most}");
    outcome.assert_failed_at_most(0.0, "a listener offered as its own server");
    assert!(
        most < before + DESCRIPTORS,
        "{before} descriptors before, {most} at most"
    );
}

#[test]
fn a_command_that_makes_a_listener_its_own_server_is_refused() {
    isolated(
        "listeners::a_command_that_makes_a_listener_its_own_server_is_refused",
        commanded,
    );
}

async fn commanded(network: Network) {
    let mesh = Mesh::start(network).await;
    let own = mesh.lb.host.address.to_string();
    let group = "server-group/a.my.service.com:80/server";
    let addresses = [
        "127.0.0.1",
        "127.0.0.2",
        "0.0.0.0",
        &own,
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
    ];
    for (number, at) in addresses.into_iter().enumerate() {
        let server = json!({"name": format!("loop{number}"), "address": format!("{at}:8081"), "weight": 10});
        let (status, body) = mesh.lb.command("POST", group, &server).await;
        // On IPv6's loopback the listener, which is of IPv4, is not.
        if at != "[::1]" {
            assert!((400..500).contains(&status), "{at}: {status} {body}");
            println!("{at}: {body}");
        }
    }
    // The listener second.
    let server = json!({"name": "later", "address": "127.0.0.1:8090", "weight": 10});
    let (status, body) = mesh.lb.command("POST", group, &server).await;
    assert_eq!(status, 204, "{body}");
    let listener = json!({"name": "later", "address": "0.0.0.0:8090", "backend": "sgs-a"});
    let (status, body) = mesh.lb.command("POST", "tcp-lb", &listener).await;
    assert!((400..500).contains(&status), "{status} {body}");
}

#[test]
fn two_listeners_that_reach_each_other_stop_at_a_limit() {
    isolated(
        "listeners::two_listeners_that_reach_each_other_stop_at_a_limit",
        circle,
    );
}

async fn circle(network: Network) {
    let mesh = Mesh::start(network).await;
    let commands = |peer: Ipv4Addr| {
        format!(
            "add server-groups gs\nadd server-group g timeout 500 period 1000 up 1 down 3\n\
             add server-group g to server-groups gs\nadd server s to server-group g address {peer}:8083\n\
             add tcp-lb circle address 0.0.0.0:8083 server-groups gs\n"
        )
    };
    let start = |name: &str, own: u8, peer: u8| {
        let file = mesh
            .programs
            .file(&format!("{name}.conf"), &commands(address(peer)));
        let host = mesh.network.host(name, address(own));
        mesh.programs
            .start(host, &[], &["--load".as_ref(), file.as_os_str()])
    };
    let (left, right) = (start("left", 21, 22), start("right", 22, 21));
    left.answers().await;
    right.answers().await;
    let (mut held, mut most) = (Vec::new(), 0);
    eventually("a line that names the listener at its limit", async || {
        // The checks alone may have reached the limit.
        if let Ok(mut client) = mesh.attacker.connect(left.at(8083)).await {
            let _ = client.write_all(b"x").await;
            held.push(client);
        }
        most = most.max(left.usage().descriptors).max(right.usage().descriptors);
        let logs = [left.log(), right.log()].concat();
        let named = |line: &str| line.contains("circle") && line.contains("WARN");
        (!logs.lines().any(named)).then(|| format!("at most {most} descriptors: {logs}"))
    })
    .await;
    let (of_left, of_right) = tokio::join!(self::most(&left), self::most(&right));
    most = most.max(of_left).max(of_right);
    println!("descriptors of two sidecars in a circle: at most {most}");
    // 256 connections in each direction, of two descriptors each.
    assert!(most < 1500, "{most} descriptors");
}
