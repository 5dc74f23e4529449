//! What discovery promises whatever the size of the mesh, in simulated time: how soon all agree, how soon the
//! dead are noticed, and what it costs a node. Larger ones: `cargo run --profile simulation -p sidecar
//! --example mesh-scale`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod mesh_common;

use std::time::Duration;

use mesh_common::world::{Network, Traffic, World};

const SECOND: Duration = Duration::from_secs(1);

/// As in the promise: 5 % loss and 50 ms one way.
fn lossy(gossiping: f64) -> Network {
    Network {
        loss: 0.05,
        tcp: true,
        delay: 50..51,
        gossiping,
        ..Network::default()
    }
}

fn mesh(seed: u64, network: Network, nodes: usize, instances: u32) -> (World, Vec<std::net::IpAddr>) {
    let mut world = World::new(seed, network);
    let places = (0..nodes)
        .map(|_| {
            let place = world.start();
            world.offer_many(place, "a", instances);
            place
        })
        .collect();
    (world, places)
}

fn seed() -> u64 {
    let set = std::env::var("MESH_SEED").ok();
    set.and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// On average over all nodes, per second.
fn rate(traffic: &[Traffic], time: Duration, field: fn(&Traffic) -> u64) -> u64 {
    let all: u64 = traffic.iter().map(field).sum();
    all / u64::try_from(traffic.len()).unwrap() / time.as_secs()
}

fn keeps_its_promises(nodes: usize) {
    let seed = seed();
    let (mut world, places) = mesh(seed, lossy(1.0), nodes, 3);
    let within = |world: &mut World, limit: Duration, what: &str| {
        if let Err(why) = world.agreed_after(limit) {
            panic!("seed {seed}, {nodes} nodes, {what}: no agreement within {limit:?}: {why}");
        }
    };
    within(&mut world, 10 * SECOND, "cold start");

    // Until the first sweep has ended.
    world.run_for(12 * SECOND);
    world.take_traffic();
    let time = 30 * SECOND;
    world.run_for(time);
    let traffic = world.take_traffic();
    let sent = rate(&traffic, time, |node| node.datagrams_sent);
    let bytes = rate(&traffic, time, |node| node.bytes);
    assert!(sent < 10, "seed {seed}, {nodes} nodes: {sent} datagrams/s");
    assert!(bytes < 5_000, "seed {seed}, {nodes} nodes: {bytes} bytes/s");
    let most = |field: fn(&Traffic) -> u64| traffic.iter().map(field).max().unwrap() / time.as_secs();
    let (sent, bytes) = (most(|node| node.datagrams_sent), most(|node| node.bytes));
    assert!(
        sent < 10 && bytes < 5_000,
        "seed {seed}, {nodes} nodes, the busiest: {sent} datagrams/s, {bytes} bytes/s"
    );

    world.freeze(places[nodes / 3]);
    within(&mut world, 4 * SECOND, "one stands still");
    world.thaw(places[nodes / 3]);
    within(&mut world, 5 * SECOND, "it goes on");

    world.partition(&places[..nodes / 2]);
    within(&mut world, 20 * SECOND, "cut in two");
    world.heal();
    within(&mut world, 5 * SECOND, "healed");
}

#[test]
fn a_mesh_of_five_keeps_its_promises() {
    keeps_its_promises(5);
}

#[test]
fn a_mesh_of_a_hundred_keeps_its_promises() {
    keeps_its_promises(100);
}

/// Five nodes that gossip over a good network, and have for a while.
fn small(seed: u64) -> (World, Vec<std::net::IpAddr>) {
    let network = Network {
        gossiping: 1.0,
        ..Network::default()
    };
    let (mut world, places) = mesh(seed, network, 5, 1);
    world.agree_within(SECOND);
    world.run_for(SECOND);
    (world, places)
}

#[test]
fn in_a_small_mesh_a_node_that_stands_still_is_noticed_by_all_within_a_second_and_a_half() {
    for seed in 1..=50 {
        let (mut world, places) = small(seed);
        world.freeze(places[seed as usize % 5]);
        world.agree_within(Duration::from_millis(1500));
    }
}

#[test]
fn in_a_small_mesh_a_node_that_stands_still_for_a_moment_stays_up() {
    for seed in 1..=50 {
        let (mut world, places) = small(seed);
        let victim = places[seed as usize % 5];
        world.freeze(victim);
        world.run_for(Duration::from_millis(860));
        world.thaw(victim);
        for _ in 0..20 {
            world.agree_per_side();
            world.run_for(Duration::from_millis(20));
        }
    }
}

#[test]
fn nodes_that_do_not_gossip_agree_with_those_that_do() {
    for seed in 1..=5 {
        let network = Network {
            gossiping: 0.5,
            ..Network::default()
        };
        let (mut world, places) = mesh(seed, network, 12, 2);
        world.agree_within(2 * SECOND);
        world.partition(&places[..6]);
        world.run_for(10 * SECOND);
        world.agree_per_side();
        world.offer(places[0], "b", 1);
        world.heal();
        world.agree_within(4 * SECOND);
        world.leave(places[3]);
        world.kill(places[8]);
        world.agree_within(3 * SECOND);
    }
}
