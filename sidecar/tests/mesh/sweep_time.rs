//! The README's table of search masks: how long two nodes that start at the same time may take to meet.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sidecar::mesh::DiscoverySettings;
use sidecar::mesh::protocol::{Action, Config, Event, Protocol, Search};
use sidecar::mesh::wire::Node;

const README: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"));
/// Searches simulated for each mask, about; a pair in a large network takes more of them.
const SEARCHES: u64 = 1 << 18;

/// A row of the table.
#[derive(Debug)]
struct Row {
    mask: u8,
    addresses: u64,
    /// The time within which half of all pairs meet.
    half: Duration,
    all: Duration,
}

/// `11 s` or `3.4 min`.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_once(' ')?;
    let number: f64 = number.parse().ok()?;
    match unit {
        "s" => Some(Duration::from_secs_f64(number)),
        "min" => Some(Duration::from_secs_f64(number * 60.0)),
        _ => None,
    }
}

fn rows() -> Vec<Row> {
    let cells = |line: &str| -> Vec<String> { line.split('|').map(|cell| cell.trim().to_owned()).collect() };
    let rows = README
        .lines()
        .map(cells)
        .filter_map(|cells| match cells.as_slice() {
            [_, mask, addresses, half, all, _] => Some(Row {
                mask: mask.strip_prefix('/')?.parse().ok()?,
                addresses: addresses.replace(',', "").parse().ok()?,
                half: duration(half)?,
                all: duration(all)?,
            }),
            _ => None,
        });
    rows.collect()
}

fn place(number: u32) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::from_bits((10 << 24) + number).into(), 31000)
}

fn search(own: SocketAddr, mask: u8) -> Search {
    let settings = DiscoverySettings {
        search_mask: mask,
        ..DiscoverySettings::default()
    };
    Search::new(own, &settings)
}

/// When a node without peers first searches this address.
fn finds(own: SocketAddr, other: IpAddr, mask: u8, seed: u64) -> Duration {
    let node = Node::new("own", own.ip(), own.port(), 31000).unwrap();
    let mut protocol = Protocol::new(node, search(own, mask), Config::default(), seed);
    loop {
        let due = protocol.next_deadline().unwrap();
        let found = protocol
            .handle(due, Event::Wake)
            .iter()
            .any(|action| match action {
                Action::Send { to, .. } => to.ip() == other,
                _ => false,
            });
        if found {
            return due;
        }
    }
}

/// When each of some pairs meets, sorted.
fn meetings(mask: u8) -> Vec<Duration> {
    let mut rng = StdRng::seed_from_u64(mask.into());
    let pairs = (SEARCHES >> (32 - mask)).clamp(9, 201);
    let mut times: Vec<Duration> = (0..pairs)
        .map(|pair| {
            let (one, other) = loop {
                let mut any = || place(rng.random_range(0..1 << (32 - mask)));
                let (one, other) = (any(), any());
                if one != other {
                    break (one, other);
                }
            };
            let first = finds(one, other.ip(), mask, 2 * pair);
            first.min(finds(other, one.ip(), mask, 2 * pair + 1))
        })
        .collect();
    times.sort_unstable();
    times
}

#[test]
fn two_nodes_meet_within_the_documented_time() {
    let rows = rows();
    let masks: Vec<u8> = rows.iter().map(|row| row.mask).collect();
    assert_eq!(masks, [24, 23, 22, 20, 18, 16], "the rows of the README's table");
    for Row {
        mask,
        addresses,
        half,
        all,
    } in rows
    {
        let search = search(place(1), mask);
        assert_eq!(search.addresses(), addresses, "/{mask}");
        let sweep = search.sweep_time(&Config::default());
        let times = meetings(mask);
        let (median, last) = (times[times.len() / 2], times[times.len() - 1]);
        assert!(
            last <= sweep,
            "/{mask}: a pair met after {last:?}, a sweep takes {sweep:?}"
        );
        let close = |documented: Duration, measured: Duration, what: &str| {
            let ratio = documented.div_duration_f64(measured);
            let range = 0.75..1.34;
            assert!(
                range.contains(&ratio),
                "/{mask}, {what}: {documented:?} is documented, {measured:?} measured"
            );
        };
        close(half, median, "half");
        close(all, sweep, "all");
    }
}
