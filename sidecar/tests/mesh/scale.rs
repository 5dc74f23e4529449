//! Objectives of discovery for meshes of several sizes, in simulated time: time to convergence, time to detect a
//! crash, and the cost for a node. For larger meshes:
//! `cargo run --profile simulation -p sidecar --example mesh-scale`.

use std::time::Duration;

use crate::common::world::{Network, Traffic, World};

const SECOND: Duration = Duration::from_secs(1);

/// The network of the objectives: 5 % loss and 50 ms one way.
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

/// The average over all nodes, per second.
fn rate(traffic: &[Traffic], time: Duration, field: fn(&Traffic) -> u64) -> u64 {
    let all: u64 = traffic.iter().map(field).sum();
    all / u64::try_from(traffic.len()).unwrap() / time.as_secs()
}

fn meets_its_objectives(nodes: usize) {
    let seed = seed();
    let (mut world, places) = mesh(seed, lossy(1.0), nodes, 3);
    let within = |world: &mut World, limit: Duration, what: &str| {
        if let Err(why) = world.converged_after(limit) {
            panic!("seed {seed}, {nodes} nodes, {what}: no convergence within {limit:?}: {why}");
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
    within(&mut world, 4 * SECOND, "one frozen");
    world.thaw(places[nodes / 3]);
    within(&mut world, 5 * SECOND, "thawed");

    world.partition(&places[..nodes / 2]);
    within(&mut world, 20 * SECOND, "partitioned");
    world.heal();
    within(&mut world, 5 * SECOND, "healed");
}

#[test]
fn a_mesh_of_five_meets_its_objectives() {
    meets_its_objectives(5);
}

#[test]
fn a_mesh_of_a_hundred_meets_its_objectives() {
    meets_its_objectives(100);
}

/// Five gossiping nodes on a reliable network, settled.
fn small(seed: u64) -> (World, Vec<std::net::IpAddr>) {
    let network = Network {
        gossiping: 1.0,
        ..Network::default()
    };
    let (mut world, places) = mesh(seed, network, 5, 1);
    world.converge_within(SECOND);
    world.run_for(SECOND);
    (world, places)
}

#[test]
fn a_frozen_node_of_a_small_mesh_is_down_everywhere_within_a_second_and_a_half() {
    for seed in 1..=50 {
        let (mut world, places) = small(seed);
        world.freeze(places[seed as usize % 5]);
        world.converge_within(Duration::from_millis(1500));
    }
}

#[test]
fn a_briefly_frozen_node_of_a_small_mesh_stays_up() {
    for seed in 1..=50 {
        let (mut world, places) = small(seed);
        let victim = places[seed as usize % 5];
        world.freeze(victim);
        world.run_for(Duration::from_millis(860));
        world.thaw(victim);
        for _ in 0..20 {
            world.assert_converged_per_side();
            world.run_for(Duration::from_millis(20));
        }
    }
}

#[test]
fn gossiping_and_original_nodes_converge() {
    for seed in 1..=5 {
        let network = Network {
            gossiping: 0.5,
            ..Network::default()
        };
        let (mut world, places) = mesh(seed, network, 12, 2);
        world.converge_within(2 * SECOND);
        world.partition(&places[..6]);
        world.run_for(10 * SECOND);
        world.assert_converged_per_side();
        world.offer(places[0], "b", 1);
        world.heal();
        world.converge_within(4 * SECOND);
        world.leave(places[3]);
        world.kill(places[8]);
        world.converge_within(3 * SECOND);
    }
}
