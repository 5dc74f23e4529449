//! The order and pace of searches: each sweep visits every target once, every second time the nearest target left, at a
//! pace that spares the kernel's neighbour table.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::common::lone::ms;
use crate::common::world::{Layout, Network, World};
use proptest::prelude::*;
use sidecar::mesh::DiscoverySettings;
use sidecar::mesh::protocol::Config;
use sidecar::mesh::protocol::{Action, Event, Protocol, Search};
use sidecar::mesh::wire::Node;

const HOUR: Duration = Duration::from_secs(3600);

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn distance(own: SocketAddr, to: SocketAddr) -> u128 {
    number(to.ip()).abs_diff(number(own.ip()))
}

/// The targets that a node without peers searches within this time, and when.
fn searched(
    own: SocketAddr,
    config: &DiscoverySettings,
    timing: Config,
    time: Duration,
) -> Vec<(Duration, SocketAddr)> {
    searched_from(7, own, config, timing, time)
}

/// As [`searched`], with this seed.
fn searched_from(
    seed: u64,
    own: SocketAddr,
    config: &DiscoverySettings,
    timing: Config,
    time: Duration,
) -> Vec<(Duration, SocketAddr)> {
    let node = Node::new("own", own.ip(), own.port(), 31000).unwrap();
    let mut protocol = Protocol::new(node, Search::new(own, config), timing, seed);
    let mut all = Vec::new();
    while let Some(due) = protocol.next_deadline().filter(|due| *due <= time) {
        let actions = protocol.handle(due, Event::Wake);
        all.extend(actions.into_iter().filter_map(|action| match action {
            Action::Send { to, .. } => Some((due, to)),
            _ => None,
        }));
    }
    all
}

/// Exactly one round and one sweep.
fn once() -> Config {
    Config {
        search_first_pause: 48 * HOUR,
        search_alone_pause: 48 * HOUR,
        ..Config::default()
    }
}

prop_compose! {
    fn targets()(
        address in any::<u128>(), v6 in any::<bool>(), host_bits in 0..11_u8, own_port in 30999..31005_u16,
        min in 31000..31003_u16, more in 0..3_u16,
    ) -> (SocketAddr, DiscoverySettings) {
        let ip = if v6 {
            IpAddr::from(Ipv6Addr::from_bits(address))
        } else {
            // Not on loopback, where more targets are near.
            IpAddr::from(Ipv4Addr::from_bits(address as u32 >> 2 | 1 << 31))
        };
        let bits = if v6 { 128 } else { 32 };
        let config = DiscoverySettings {
            search_mask: bits - host_bits,
            search_min_udp_port: min,
            search_max_udp_port: min + more,
            ..DiscoverySettings::default()
        };
        (SocketAddr::new(ip, own_port), config)
    }
}

proptest! {
    #[test]
    fn a_sweep_visits_every_target_once_and_never_ourselves((own, config) in targets()) {
        let bits = if own.is_ipv4() { 32 } else { 128 };
        let host_bits = bits - config.search_mask;
        let network = number(own.ip()) >> host_bits << host_bits;
        let hosts = network..network + (1 << host_bits);
        let mut expected = Vec::new();
        for host in hosts {
            for port in config.search_min_udp_port..=config.search_max_udp_port {
                if (host, port) != (number(own.ip()), own.port()) {
                    expected.push((host, port));
                }
            }
        }
        let mut found: Vec<_> = searched(own, &config, once(), 24 * HOUR)
            .into_iter()
            .map(|(_, to)| (number(to.ip()), to.port()))
            .collect();
        found.sort_unstable();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn the_nearest_come_first_and_then_every_second_time((own, config) in targets()) {
        let slow = Config {
            search_far_group: 1,
            search_far_interval: ms(50),
            ..once()
        };
        let all = searched(own, &config, slow, 24 * HOUR);
        // The near round and the sweep's first visit coincide.
        let near = all.iter().filter(|(at, _)| *at < ms(50)).count();
        let distance = |(_, to): &(Duration, SocketAddr)| distance(own, *to);
        let (first, rest) = all.split_at(near);
        let reach = first.iter().map(distance).max().unwrap_or_default();
        prop_assert!(rest.iter().all(|to| distance(to) >= reach));
        let visits: Vec<u128> = rest.chunk_by(|one, next| one.0 == next.0).map(|visit| distance(&visit[0])).collect();
        for (index, nearest) in visits.iter().enumerate().skip(1).step_by(2) {
            prop_assert!(visits[index..].iter().all(|left| left >= nearest));
        }
    }
}

#[test]
fn a_sweep_soon_leaps_to_every_order_of_distance_and_each_node_to_other_targets() {
    let own = SocketAddr::from(([10, 7, 0, 1], 31000));
    let config = DiscoverySettings {
        search_mask: 16,
        ..DiscoverySettings::default()
    };
    let leaps = |seed| -> Vec<u128> {
        let all = searched_from(seed, own, &config, once(), Duration::from_secs(4));
        all.iter()
            .map(|(_, to)| distance(own, *to))
            .filter(|distance| *distance > 127)
            .collect()
    };
    let (one, other) = (leaps(7), leaps(8));
    for order in 7..16 {
        let range = 1 << order..1 << (order + 1);
        assert!(
            one.iter().any(|distance| range.contains(distance)),
            "none at {range:?}: {one:?}"
        );
    }
    let same = one.iter().filter(|distance| other.contains(distance)).count();
    assert!(same < one.len() / 2, "{same} of {} are the same", one.len());
}

#[test]
fn five_nodes_without_answers_use_less_than_half_of_the_neighbour_table() {
    const TABLE: usize = 1024;
    let timing = Config::default();
    let mut entries: BTreeMap<Duration, usize> = BTreeMap::new();
    for host in 2..=6 {
        let own = SocketAddr::from(([172, 18, 0, host], 31000));
        let mut held: BTreeMap<IpAddr, Duration> = BTreeMap::new();
        let mut changes: BTreeMap<Duration, usize> = BTreeMap::new();
        for (at, to) in searched(
            own,
            &DiscoverySettings::default(),
            timing.clone(),
            Duration::from_secs(60),
        ) {
            held.insert(to.ip(), at);
            // The kernel holds an address for three seconds after the last search of it.
            held.retain(|_, asked| *asked + Duration::from_secs(3) > at);
            changes.insert(at, held.len());
        }
        for tick in (0..60_000).step_by(100).map(ms) {
            let now = changes.range(..=tick).next_back().map_or(0, |(_, count)| *count);
            *entries.entry(tick).or_default() += now;
        }
    }
    let most = entries.values().max().unwrap();
    assert!(*most <= TABLE / 2, "{most} entries");
}

#[test]
fn near_rounds_come_often_while_alone_and_the_rest_is_swept_meanwhile() {
    let own = SocketAddr::from(([172, 18, 0, 2], 31000));
    let all = searched(own, &DiscoverySettings::default(), Config::default(), ms(12_000));
    let times = |host: u8| {
        let at = IpAddr::from([172, 18, 0, host]);
        all.iter().filter(|(_, to)| to.ip() == at).count()
    };
    // Rounds begin at about 0, 0.25, 0.75, 1.75, 3.75 and 7.75 s.
    assert_eq!((times(0), times(3), times(32)), (6, 6, 6));
    assert_eq!((times(33), times(150), times(255)), (1, 1, 1));
    let first: Vec<Duration> = all.iter().take(33).map(|(at, _)| *at).collect();
    assert!(first.iter().all(|at| *at == Duration::ZERO), "{first:?}");
}

#[test]
fn a_lone_node_far_from_the_first_addresses_searches_them_in_its_second_round() {
    let own = SocketAddr::from(([172, 18, 0, 200], 31000));
    let all = searched(own, &DiscoverySettings::default(), Config::default(), ms(300));
    for host in 2..=6 {
        let at = SocketAddr::from(([172, 18, 0, host], 31000));
        assert!(all.iter().any(|(_, to)| *to == at), "{at} is not among {all:?}");
    }
    let addresses: BTreeSet<IpAddr> = all.iter().map(|(_, to)| to.ip()).collect();
    assert!(
        addresses.len() <= 33 + 8 + 60,
        "near, first, and swept: {addresses:?}"
    );
}

#[test]
fn a_loopback_network_is_searched_at_once() {
    let own = SocketAddr::from(([127, 0, 0, 1], 31000));
    let all = searched(own, &DiscoverySettings::default(), once(), ms(100));
    assert_eq!(all.len(), 255);
}

#[test]
fn a_wide_network_on_loopback_is_soon_searched_beyond_the_near_targets() {
    let own = SocketAddr::from(([127, 0, 0, 1], 31000));
    let config = DiscoverySettings {
        search_mask: 16,
        ..DiscoverySettings::default()
    };
    let target = SocketAddr::from(([127, 0, 1, 144], 31000));
    let all = searched(own, &config, Config::default(), Duration::from_secs(30));
    assert!(
        all.iter().any(|(_, to)| *to == target),
        "{target} is not searched"
    );
}

/// A settled mesh on loopback.
fn loopback_mesh(nodes: usize) -> World {
    let network = Network {
        gossiping: 1.0,
        ..Network::default()
    };
    let layout = Layout {
        network: Ipv4Addr::new(127, 83, 1, 0),
        mask: 24,
    };
    let mut world = World::laid_out(7, network, layout);
    for _ in 0..nodes {
        world.start();
    }
    world.converge_within(Duration::from_secs(1));
    world.run_for(Duration::from_secs(2));
    world
}

#[test]
fn a_settled_mesh_on_loopback_costs_no_more_than_elsewhere() {
    for nodes in [2, 5, 40] {
        let mut world = loopback_mesh(nodes);
        world.take_traffic();
        world.run_for(Duration::from_secs(130));
        let traffic = world.take_traffic();
        let sent: u64 = traffic.iter().map(|node| node.datagrams_sent).sum();
        let each = sent / 130 / nodes as u64;
        assert!(each < 10, "{nodes} nodes: {each} datagrams/s each");
    }
}

#[test]
fn distant_settled_meshes_on_loopback_find_each_other() {
    let mut world = loopback_mesh(0);
    let pair = |world: &mut World| [world.start(), world.start()];
    let near = pair(&mut world);
    for _ in 0..200 {
        // No node knows it; only its address is skipped.
        let nobody = world.start();
        world.kill(nobody);
    }
    pair(&mut world);
    world.partition(&near);
    world.run_for(Duration::from_secs(30));
    world.assert_converged_per_side();
    world.heal();
    // Each sweeps the 222 far addresses, one per second.
    world.converge_within(Duration::from_secs(240));
}

#[test]
fn a_new_node_on_loopback_is_found_as_soon_if_its_first_sweep_is_lost() {
    let mut world = loopback_mesh(60);
    let newcomer = world.start();
    world.partition(&[newcomer]);
    world.run_for(ms(200));
    world.heal();
    world.converge_within(ms(500));
}
