//! Duplicate address detection: an IPv6 address that cannot be bound yet.

use crate::node::Node;
use crate::world::{Namespace, World, eventually};

const V6: &str = "discovery.ip_type = v6\ndiscovery.search.mask = 120\n";

fn offer() -> String {
    "add smart-node-delegate d service s zone z nic eth0 ip-type v6 port 8080\n".to_owned()
}

/// A machine whose new addresses are in detection for about 4 s.
fn machine(world: &World, host: &str) -> Namespace {
    let machine = world.machine(host);
    for (key, value) in [("accept_dad", 1), ("dad_transmits", 4), ("disable_ipv6", 0)] {
        machine.run(&format!("sysctl -qw net.ipv6.conf.eth0.{key}={value}"));
    }
    machine
}

fn is_tentative(machine: &Namespace) -> bool {
    let output = machine.run("ip -6 addr show dev eth0 tentative scope global");
    !output.stdout.is_empty()
}

/// Adds an address that is in detection when this returns.
fn add(machine: &Namespace, address: &str) {
    machine.ip(&[&format!("addr add {address}/120 dev eth0")]);
    assert!(
        is_tentative(machine),
        "the test is too slow, or the kernel detects nothing"
    );
}

#[test]
fn a_start_waits_for_the_end_of_the_detection() {
    let Some(world) = World::new() else { return };
    let balances = machine(&world, "balances");
    balances.ip(&["addr add fd00:77::2/120 dev eth0 nodad"]);
    let script = "add server-group g timeout 500 period 200 up 1 down 3
add server-groups gs
add server-group g to server-groups gs weight 10
add smart-group-delegate d service s zone z server-group g
add tcp-lb lb address 127.0.0.1:8081 server-groups gs
";
    let balances = Node::start(balances, V6, script);
    let offers = machine(&world, "offers");
    add(&offers, "fd00:77::1");
    let offers = Node::start(offers, V6, &offer());
    balances.reaches("fd00:77::1");
    let log = offers.log();
    assert!(
        log.contains("address fd00:77::1 of network interface eth0 is still in duplicate address detection"),
        "{log}"
    );
    // The same for one that it changes to. The sidecar is not ready until it can be bound.
    offers.machine.ip(&["addr del fd00:77::1/120 dev eth0"]);
    add(&offers.machine, "fd00:77::3");
    eventually("not ready", || offers.readiness(), |it| it.0 == 503);
    balances.reaches("fd00:77::3");
    offers.ready();
}

#[test]
fn a_listener_and_a_pinned_address_wait_for_the_end_of_the_detection() {
    let Some(world) = World::new() else { return };
    let machine = machine(&world, "listens");
    add(&machine, "fd00:77::1");
    let script = "add server-groups gs\nadd tcp-lb lb address [fd00:77::1]:8081 server-groups gs\n";
    let pinned = "discovery.address = fd00:77::1\ndiscovery.search.mask = 120\n";
    let node = Node::start(machine, pinned, script);
    node.ready();
    assert_eq!(node.address(), "fd00:77::1");
}

#[test]
fn an_address_that_another_host_has_is_refused_with_the_reason() {
    let Some(world) = World::new() else { return };
    let (first, second) = (machine(&world, "first"), machine(&world, "second"));
    first.ip(&["addr add fd00:77::1/120 dev eth0 nodad"]);
    second.ip(&["addr add fd00:77::1/120 dev eth0"]);
    let mut node = Node::start(second, V6, &offer());
    eventually("its end", || (node.has_ended(), node.log()), |(ended, _)| *ended);
    let log = node.log();
    assert!(log.contains("fd00:77::1 (another host has it"), "{log}");
}

#[test]
fn a_deprecated_address_is_given_up_for_a_new_one() {
    let Some(world) = World::new() else { return };
    let machine = machine(&world, "renumbered");
    machine.ip(&["addr add fd00:77::1/120 dev eth0 nodad"]);
    let node = Node::start(machine, V6, &offer());
    node.ready();
    node.machine.ip(&[
        "addr add fd00:78::1/120 dev eth0 nodad",
        "addr change fd00:77::1/120 dev eth0 preferred_lft 0",
    ]);
    eventually(
        "the new address",
        || (node.address(), node.log()),
        |it| it.0 == "fd00:78::1",
    );
}
