//! A mesh of many sidecar processes on loopback addresses of this machine (Linux): time to convergence
//! at the start, after a kill and after a freeze, and the cost of an idle sidecar.
//!
//!     cargo build --release -p sidecar
//!     cargo run --release -p sidecar --example mesh-processes -- --nodes 200
#![allow(clippy::print_stdout, reason = "it prints its table")]

mod node;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Parser;
use rustix::process::Signal;

use self::node::Node;

/// Starts many sidecars, and prints their time to convergence and their cost.
#[derive(Debug, Parser)]
struct Options {
    /// Number of sidecars.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u8).range(2..=250))]
    nodes: u8,
    /// Service instances of each.
    #[arg(long, default_value_t = 1)]
    instances: u32,
    /// The sidecar's executable; by default the one built next to this one.
    #[arg(long)]
    sidecar: Option<PathBuf>,
    /// N in the sidecars' addresses, 127.83.N.x.
    #[arg(long, default_value_t = 1)]
    network: u8,
    /// Timeout for convergence, in seconds.
    #[arg(long, default_value_t = 120)]
    limit: u64,
    /// Seconds over which the idle mesh is measured, and for which it rests before.
    #[arg(long, default_value_t = 20)]
    idle: u64,
    /// Stop at convergence, and print the sums of all counters until then.
    #[arg(long)]
    start_only: bool,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let program = match &options.sidecar {
        Some(program) => program.clone(),
        None => {
            let own = std::env::current_exe().context("the path of this program")?;
            let target = own.parent().and_then(|examples| examples.parent());
            target.context("the path of this program")?.join("sidecar")
        }
    };
    if !program.is_file() {
        bail!(
            "{} does not exist: cargo build --release -p sidecar",
            program.display()
        );
    }
    let directory = tempfile::tempdir().context("a directory for config files")?;
    let limit = Duration::from_secs(options.limit);
    let begin = Instant::now();
    let mut nodes = Vec::new();
    for host in 1..=options.nodes {
        let node = Node::start(
            &program,
            directory.path(),
            [127, 83, options.network, host],
            options.instances,
        );
        nodes.push(node.with_context(|| format!("sidecar {host}"))?);
    }
    let started = begin.elapsed();
    let (count, each) = (f64::from(options.nodes), f64::from(options.instances));
    let instances = count * each;
    let cold = converge(&nodes, count, instances, limit);
    let start = usage(&nodes)?;
    let per_start = start.processor / count;
    if options.start_only {
        println!(
            "{count} sidecars: all started after {:.1} s, converged after {}, {per_start:.2} s of CPU time each",
            started.as_secs_f64(),
            seconds(&cold.map(|time| time + started))
        );
        return print_counters(&nodes);
    }

    let idle = Duration::from_secs(options.idle);
    pause(idle);
    let before = usage(&nodes)?;
    pause(idle);
    let after = usage(&nodes)?;

    let victim = nodes.remove(nodes.len() / 3);
    drop(victim);
    let killed = converge(&nodes, count - 1.0, instances - each, limit);
    let still = nodes.remove(nodes.len() / 3);
    still.signal(Signal::STOP)?;
    let frozen = converge(&nodes, count - 2.0, instances - 2.0 * each, limit);

    let mut table = vec![
        (
            "all started".to_owned(),
            format!("{:.1} s", started.as_secs_f64()),
        ),
        (
            "convergence, from the first start".to_owned(),
            seconds(&cold.map(|time| time + started)),
        ),
        (
            "CPU time of one until then".to_owned(),
            format!("{per_start:.2} s"),
        ),
        ("one killed, until all report it".to_owned(), seconds(&killed)),
        ("one frozen, until all report it".to_owned(), seconds(&frozen)),
    ];
    let per = f64::from(options.nodes) * idle.as_secs_f64();
    for (what, unit, before, after) in [
        (
            "CPU time of an idle one",
            "ms/s",
            before.processor * 1000.0,
            after.processor * 1000.0,
        ),
        ("datagrams sent", "/s", before.datagrams, after.datagrams),
        ("exchanges made", "/s", before.exchanges, after.exchanges),
    ] {
        table.push((what.to_owned(), format!("{:.2} {unit}", (after - before) / per)));
    }
    let mean = after.resident / f64::from(options.nodes);
    table.push((
        "resident memory, mean and maximum".to_owned(),
        format!("{mean:.1} and {:.1} MiB", after.most_resident),
    ));
    println!("{} sidecars, {} instances each", options.nodes, options.instances);
    for (what, value) in table {
        println!("| {what:<42} | {value:>22} |");
    }
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "nothing else runs at this time")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn seconds(time: &Result<Duration, String>) -> String {
    match time {
        Ok(time) => format!("{:.1} s", time.as_secs_f64()),
        Err(why) => why.clone(),
    }
}

/// Prints the sums of all counters that are not zero.
fn print_counters(nodes: &[Node]) -> anyhow::Result<()> {
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for node in nodes {
        for (counter, value) in node.counters("sidecar_mesh_")? {
            *sums.entry(counter).or_default() += value;
        }
    }
    for (counter, sum) in sums.iter().filter(|(_, sum)| **sum > 0.0) {
        println!("{sum:>10} {counter}");
    }
    Ok(())
}

/// Time until each of these reports `up` nodes and `instances` instances. They are asked one after another, so that
/// asking takes them little time.
fn converge(nodes: &[Node], up: f64, instances: f64, limit: Duration) -> Result<Duration, String> {
    let begin = Instant::now();
    for (number, node) in nodes.iter().enumerate() {
        while !node.sees().is_ok_and(|seen| seen == (up, instances)) {
            if begin.elapsed() > limit {
                return Err(format!(
                    "{} of {} have converged, maybe more",
                    number,
                    nodes.len()
                ));
            }
            pause(Duration::from_millis(20));
        }
    }
    Ok(begin.elapsed())
}

/// Resources used by all sidecars together.
#[derive(Default)]
struct Usage {
    processor: f64,
    datagrams: f64,
    exchanges: f64,
    resident: f64,
    most_resident: f64,
}

fn usage(nodes: &[Node]) -> anyhow::Result<Usage> {
    let mut all = Usage::default();
    for node in nodes {
        all.processor += node.processor_seconds()?;
        let resident = node.resident_mib()?;
        all.resident += resident;
        all.most_resident = all.most_resident.max(resident);
        all.datagrams += node.counted("sidecar_mesh_datagrams_total{", "outcome=\"sent\"")?;
        all.exchanges += node.counted("sidecar_mesh_exchanges_total{", "")?;
    }
    Ok(all)
}
