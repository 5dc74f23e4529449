//! The interface comes back under another name.

use crate::node::Node;
use crate::world::{World, eventually};

const MOVED: &str = "the address has changed";

fn pair(world: &World) -> (Node, Node) {
    let (offers, balances) = (world.machine("offers"), world.machine("balances"));
    offers.ip(&["addr add 10.77.0.1/24 dev eth0"]);
    balances.ip(&["addr add 10.77.0.2/24 dev eth0", "addr add 10.77.5.2/24 dev eth0"]);
    let (offers, balances) = (Node::offering(offers), Node::balancing(balances));
    balances.reaches("10.77.0.1");
    (offers, balances)
}

#[test]
fn an_interface_in_the_same_network_takes_the_place_and_registrations_follow() {
    let Some(world) = World::new() else { return };
    let (offers, balances) = pair(&world);
    // One in another network is there, too.
    world.connect(&offers.machine, "third", "eth7");
    offers
        .machine
        .ip(&["addr add 10.88.0.7/24 dev eth7", "link del eth0"]);
    eventually(
        "not ready, and why",
        || offers.readiness(),
        |(status, why)| {
            // As the only one that is not loopback, it may have been used already.
            *status == 503 && why.contains("there is no network interface eth0")
                || offers.address() == "10.88.0.7"
        },
    );
    world.connect(&offers.machine, "second", "eth1");
    offers.machine.ip(&["addr add 10.77.0.33/24 dev eth1"]);
    balances.reaches("10.77.0.33");
    let log = offers.log();
    assert!(
        log.contains("eth1 takes the place of eth0: it is in the same network"),
        "{log}"
    );
    // A service registers again by the name that it knows.
    let body = r#"{"name":"again","service":"s","zone":"z","nic":"eth0","exposedPort":8080}"#;
    let url = "http://127.0.0.1:8080/api/v1/module/smart-node-delegate";
    let remove = "http://127.0.0.1:8080/api/v1/module/smart-node-delegate/d";
    offers.machine.run(&format!("curl -fsS -X DELETE {remove}"));
    offers.machine.run(&format!("curl -fsS -d {body} {url}"));
    balances.reaches("10.77.0.33");
    // The configured one is back.
    world.connect(&offers.machine, "fourth", "eth0");
    offers.machine.ip(&["addr add 10.77.0.44/24 dev eth0"]);
    balances.reaches("10.77.0.44");
    assert_eq!(offers.address(), "10.77.0.44");
}

#[test]
fn the_only_interface_takes_the_place_also_in_another_network() {
    let Some(world) = World::new() else { return };
    let (offers, balances) = pair(&world);
    offers.machine.ip(&["link del eth0"]);
    eventually(
        "not ready, and why",
        || offers.readiness(),
        |(status, why)| *status == 503 && why.contains("there is no network interface eth0"),
    );
    world.connect(&offers.machine, "second", "eth1");
    // Peers in the other network are reached as before.
    offers.machine.ip(&["addr add 10.77.5.33/16 dev eth1"]);
    balances.reaches("10.77.5.33");
    let log = offers.log();
    let line = "eth1 takes the place of eth0: it is the only one that is not loopback";
    assert!(log.contains(line), "{log}");
}

#[test]
fn an_interface_that_is_renamed_keeps_its_address() {
    let Some(world) = World::new() else { return };
    let (offers, balances) = pair(&world);
    offers.machine.ip(&[
        "link set eth0 down",
        "link set eth0 name lan0",
        "link set lan0 up",
    ]);
    balances.reaches("10.77.0.1");
    offers.ready();
    assert!(!offers.log().contains(MOVED), "{}", offers.log());
    // It follows the new name.
    offers
        .machine
        .ip(&["addr flush dev lan0", "addr add 10.77.0.3/24 dev lan0"]);
    balances.reaches("10.77.0.3");
}

#[test]
fn a_start_without_the_configured_interface_takes_the_only_one_with_a_warning() {
    let Some(world) = World::new() else { return };
    let machine = world.machine("only");
    machine.ip(&[
        "link set eth0 down",
        "link set eth0 name eth1",
        "link set eth1 up",
    ]);
    machine.ip(&["addr add 10.77.0.1/24 dev eth1"]);
    let node = Node::offering(machine);
    node.ready();
    assert_eq!(node.address(), "10.77.0.1");
    let log = node.log();
    let line = "discovery.nic: network interface eth1 takes the place of eth0: it is the only one";
    assert!(log.contains(line), "{log}");
}

#[test]
fn a_start_with_two_others_is_refused_and_names_them() {
    let Some(world) = World::new() else { return };
    let machine = world.machine("two");
    machine.ip(&[
        "link set eth0 down",
        "link set eth0 name eth1",
        "link set eth1 up",
    ]);
    world.connect(&machine, "second", "eth2");
    machine.ip(&["addr add 10.77.0.1/24 dev eth1", "addr add 10.77.1.1/24 dev eth2"]);
    let mut node = Node::offering(machine);
    eventually("its end", || (node.has_ended(), node.log()), |(ended, _)| *ended);
    let log = node.log();
    assert!(
        log.contains("there is no network interface eth0; there are: eth1, eth2, lo"),
        "{log}"
    );
}
