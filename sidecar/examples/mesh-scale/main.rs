//! Meshes of many nodes in simulated time: time to convergence, and the cost of discovery for each node.
//!
//!     cargo run --profile simulation -p sidecar --example mesh-scale -- --nodes 1000
//!
//! Equal seeds make equal runs. `tests/mesh/common/world/traffic.rs` documents what is counted, and how exchanges are
//! carried.
#![allow(clippy::print_stdout, reason = "it prints its table")]
#![allow(
    clippy::unwrap_used,
    reason = "as in the tests that share the simulated world"
)]

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/mesh/common/world/mod.rs"]
mod world;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use clap::Parser;

use self::world::{Layout, Network, Traffic, World};

/// Simulates meshes of many nodes, and prints their time to convergence and its cost.
#[derive(Debug, Parser)]
struct Options {
    /// Number of nodes; several sizes give several lines.
    #[arg(long, value_delimiter = ',', default_value = "5,50,200,1000")]
    nodes: Vec<u32>,
    /// Service instances of each node.
    #[arg(long, default_value_t = 10)]
    instances: u32,
    /// The share of datagrams and TCP segments that are lost.
    #[arg(long, default_value_t = 0.05)]
    loss: f64,
    /// One-way delay of a packet, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 50)]
    delay: u64,
    /// Number of nodes that do not gossip, like the original.
    #[arg(long)]
    original: bool,
    /// Seal and open each message with a mesh key. Shows its cost: the times in the table stay the same.
    #[arg(long)]
    key: bool,
    /// Print, for each simulated second of a start, the average number of nodes that are known and up.
    #[arg(long)]
    trace: bool,
    /// Seed of the random number generator; equal seeds make equal runs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Timeout for convergence, in simulated seconds.
    #[arg(long, value_name = "S", default_value_t = 60)]
    limit: u64,
    /// Simulated seconds over which the steady state is measured.
    #[arg(long, value_name = "S", default_value_t = 60)]
    steady: u64,
    /// Simulated seconds of rest before that.
    #[arg(long, value_name = "S", default_value_t = 90)]
    rest: u64,
}

/// Results for one size. Times are simulated; none if the limit was reached.
struct Line {
    nodes: u32,
    cold: Option<Duration>,
    frozen: Option<Duration>,
    parted: Option<Duration>,
    healed: Option<Duration>,
    steady: Steady,
    cold_bytes: f64,
    took: Duration,
}

/// Traffic of a node per second: the average, and the maximum of datagrams sent and of bytes.
#[derive(Default)]
struct Steady {
    sent: f64,
    received: f64,
    exchanges: f64,
    segments: f64,
    bytes: f64,
    most_sent: f64,
    most_bytes: f64,
}

impl Steady {
    fn of(traffic: &[Traffic], time: Duration) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "counts of packets, for people")]
        let (nodes, seconds) = (traffic.len() as f64, time.as_secs_f64());
        #[allow(clippy::cast_precision_loss, reason = "as above")]
        let mean = |field: fn(&Traffic) -> u64| {
            let all: u64 = traffic.iter().map(field).sum();
            all as f64 / nodes / seconds
        };
        #[allow(clippy::cast_precision_loss, reason = "as above")]
        let most = |field: fn(&Traffic) -> u64| {
            let most = traffic.iter().map(field).max().unwrap_or_default();
            most as f64 / seconds
        };
        Self {
            sent: mean(|node| node.datagrams_sent),
            received: mean(|node| node.datagrams_received),
            exchanges: mean(|node| node.exchanges),
            segments: mean(|node| node.segments),
            bytes: mean(|node| node.bytes),
            most_sent: most(|node| node.datagrams_sent),
            most_bytes: most(|node| node.bytes),
        }
    }
}

fn simulate(options: &Options, nodes: u32) -> Line {
    let began = Instant::now();
    let network = Network {
        loss: options.loss,
        tcp: true,
        delay: options.delay..options.delay + 1,
        gossiping: if options.original { 0.0 } else { 1.0 },
        ..Network::default()
    };
    // Hosts begin with the third address.
    let host_bits = (nodes + 2).next_power_of_two().trailing_zeros().max(8);
    let layout = Layout {
        network: Ipv4Addr::new(10, 7, 0, 0),
        mask: u8::try_from(32 - host_bits).unwrap(),
    };
    let (limit, steady) = (
        Duration::from_secs(options.limit),
        Duration::from_secs(options.steady),
    );
    let mut world = World::laid_out(options.seed, network, layout);
    if options.key {
        world.seal();
    }
    let places: Vec<_> = (0..nodes)
        .map(|_| {
            let place = world.start();
            world.offer_many(place, "a", options.instances);
            place
        })
        .collect();
    let converged = |world: &mut World, what: &str| {
        let converged = world.converged_after(limit);
        if let Err(why) = &converged {
            let why: String = why.chars().take(400).collect();
            println!(
                "  {nodes} nodes, {what}: no convergence after {} s: {why}",
                options.limit
            );
        }
        converged.ok()
    };
    if options.trace {
        for _ in 0..options.limit {
            world.run_for(Duration::from_secs(1));
            let (known, up) = world.progress();
            println!(
                "  {nodes} nodes, {} s: {known} known, {up} up",
                world.now().as_secs()
            );
            if up >= usize::try_from(nodes).unwrap() {
                break;
            }
        }
    }
    let cold = converged(&mut world, "cold start").map(|_| world.now());
    let start = Steady::of(&world.take_traffic(), world.now());
    let mut line = Line {
        nodes,
        cold,
        frozen: None,
        parted: None,
        healed: None,
        cold_bytes: start.bytes * world.now().as_secs_f64(),
        steady: Steady::default(),
        took: Duration::ZERO,
    };
    if cold.is_some() {
        world.run_for(Duration::from_secs(options.rest));
        world.take_traffic();
        world.run_for(steady);
        line.steady = Steady::of(&world.take_traffic(), steady);
        let victim = places[places.len() / 3];
        world.freeze(victim);
        line.frozen = converged(&mut world, "one frozen");
        world.thaw(victim);
        if converged(&mut world, "thawed").is_some() {
            world.partition(&places[..places.len() / 2]);
            line.parted = converged(&mut world, "partitioned");
            if line.parted.is_some() {
                world.run_for(Duration::from_secs(10));
                world.heal();
                line.healed = converged(&mut world, "healed");
            }
        }
    }
    line.took = began.elapsed();
    line
}

fn print(line: &Line) {
    let time =
        |time: Option<Duration>| time.map_or("-".to_owned(), |time| format!("{:.1}", time.as_secs_f64()));
    let Line { nodes, steady, .. } = line;
    println!(
        "| {nodes:>5} | {:>6} | {:>6} | {:>6} | {:>6} | {:>6.2} | {:>8.2} | {:>6.2} | {:>7.2} | {:>7.1} | {:>8.2} | {:>8.2} | {:>8.1} | {:>6.1} |",
        time(line.cold),
        time(line.frozen),
        time(line.parted),
        time(line.healed),
        steady.sent,
        steady.most_sent,
        steady.received,
        steady.exchanges,
        steady.segments,
        steady.bytes / 1000.0,
        steady.most_bytes / 1000.0,
        line.cold_bytes / 1000.0,
        line.took.as_secs_f64(),
    );
}

fn main() {
    let options = Options::parse();
    println!(
        "{} instances a node, {} % loss, {} ms one way, seed {}",
        options.instances,
        options.loss * 100.0,
        options.delay,
        options.seed
    );
    println!(
        "times in simulated s until convergence; a node's traffic per s in the steady state, both directions unless noted"
    );
    println!(
        "| nodes |   cold | frozen |    cut | healed |   sent | max sent | recvd. | exchng. | segmnts |     kB/s | max kB/s | cold, kB | took s |"
    );
    println!(
        "|-------|--------|--------|--------|--------|--------|----------|--------|---------|---------|----------|----------|----------|--------|"
    );
    for nodes in &options.nodes {
        print(&simulate(&options, *nodes));
    }
}
