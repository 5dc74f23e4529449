//! `discovery.conf`.

use proptest::prelude::*;
use sidecar::interface::IpType;
use sidecar::mesh::DiscoverySettings;

fn faults(text: &str) -> Vec<(usize, String, String)> {
    let faults = DiscoverySettings::parse("discovery.conf", text).expect_err("refused");
    faults
        .0
        .into_iter()
        .map(|fault| (fault.line, fault.word, fault.message))
        .collect()
}

#[test]
fn the_example_of_the_protocol_is_the_default() {
    let text = "\
# how the node is found
discovery.nic = eth0
discovery.ip_type = v4
discovery.udp_sock_port = 56565   # where datagrams come from
discovery.udp_port = 31000
discovery.tcp_port=31000

discovery.search.mask = 24
discovery.search.min_udp_port = 31000
discovery.search.max_udp_port = 31000
";
    assert_eq!(
        DiscoverySettings::parse("f", text).unwrap(),
        DiscoverySettings::default()
    );
    assert_eq!(
        DiscoverySettings::parse("f", "").unwrap(),
        DiscoverySettings::default()
    );
}

#[test]
fn every_setting_is_applied() {
    let text = "discovery.nic=lo\ndiscovery.ip_type=v6\ndiscovery.address=fd00::1\n\
                discovery.node_name = one\ndiscovery.key_file = /run/key\ndiscovery.udp_sock_port=1\n\
                discovery.udp_port=2\ndiscovery.tcp_port=3\ndiscovery.search.mask=120\n\
                discovery.search.min_udp_port=4\ndiscovery.search.max_udp_port=5\n\
                discovery.instance_networks = 192.0.2.0/24, 2001:db8::/64,198.51.100.7";
    let expected = DiscoverySettings {
        nic: "lo".to_owned(),
        ip_type: IpType::V6,
        address: Some("fd00::1".parse().unwrap()),
        node_name: Some("one".to_owned()),
        key_file: Some("/run/key".into()),
        udp_sock_port: 1,
        udp_port: 2,
        tcp_port: 3,
        search_mask: 120,
        search_min_udp_port: 4,
        search_max_udp_port: 5,
        instance_networks: ["192.0.2.0/24", "2001:db8::/64", "198.51.100.7/32"]
            .map(|network| network.parse().unwrap())
            .to_vec(),
    };
    assert_eq!(DiscoverySettings::parse("f", text).unwrap(), expected);
}

#[test]
fn all_errors_are_reported_at_once_with_line_and_key() {
    let text = "discovery.nick = eth0\ndiscovery.udp_port 31000\ndiscovery.tcp_port = 0\n\ndiscovery.udp_port = x\n\
                discovery.ip_type = v5\ndiscovery.ip_type = v4\ndiscovery.nic =\ndiscovery.address = here\n\
                discovery.node_name = # nobody";
    let found: Vec<(usize, String)> = faults(text)
        .into_iter()
        .map(|(line, word, _)| (line, word))
        .collect();
    let expected = [
        (1, "discovery.nick"),
        (2, "discovery.udp_port 31000"),
        (3, "discovery.tcp_port"),
        (5, "discovery.udp_port"),
        (6, "discovery.ip_type"),
        (7, "discovery.ip_type"),
        (8, "discovery.nic"),
        (9, "discovery.address"),
        (10, "discovery.node_name"),
    ];
    assert_eq!(found, expected.map(|(line, word)| (line, word.to_owned())));
}

#[test]
fn wrong_values_are_reported_beside_contradictions() {
    for (text, expected) in [
        (
            "discovery.search.mask = 33\ndiscovery.tcp_port = many",
            vec!["discovery.search.mask", "discovery.tcp_port"],
        ),
        (
            "discovery.search.min_udp_port = 2\ndiscovery.search.max_udp_port = 1\ndiscovery.search.mask = 33",
            vec!["discovery.search.max_udp_port", "discovery.search.mask"],
        ),
        (
            "discovery.address = ::\ndiscovery.node_name = a,b\ndiscovery.search.mask = 120",
            vec!["discovery.address", "discovery.node_name"],
        ),
        (
            "discovery.ip_type = v5\ndiscovery.search.mask = 100",
            vec!["discovery.ip_type"],
        ),
    ] {
        let words: Vec<_> = faults(text).into_iter().map(|(_, word, _)| word).collect();
        assert_eq!(words, expected, "{text}");
    }
}

#[test]
fn networks_of_instances_are_refused_with_what_is_wrong() {
    let many = vec!["192.0.2.0/24"; 65].join(",");
    for (list, said) in [
        ("", "one is missing"),
        ("192.0.2.0/24,,198.51.100.0/24", "one is missing"),
        ("192.0.2.0/33", "found `192.0.2.0/33`"),
        (
            "192.0.2.0/24 198.51.100.0/24",
            "found `192.0.2.0/24 198.51.100.0/24`",
        ),
        ("example.com", "found `example.com`"),
        ("192.0.2.7/24", "the network is 192.0.2.0/24"),
        ("::ffff:192.0.2.0/120", "write IPv4 networks as such"),
        (&many, "at most 64 networks, found 65"),
    ] {
        let faults = faults(&format!("\ndiscovery.instance_networks = {list}"));
        let [(2, word, message)] = &faults[..] else {
            panic!("{list}: {faults:?}")
        };
        assert_eq!(word, "discovery.instance_networks");
        assert!(message.contains(said), "{list}: {message}");
    }
}

#[test]
fn contradictory_settings_are_refused() {
    for (text, line, word, said) in [
        (
            "discovery.search.mask = 11",
            1,
            "discovery.search.mask",
            "at least 12 bits",
        ),
        ("discovery.search.mask = 33", 1, "discovery.search.mask", "0..32"),
        (
            "\ndiscovery.search.mask = 24\ndiscovery.search.min_udp_port = 1\ndiscovery.search.max_udp_port = 8192",
            2,
            "discovery.search.mask",
            "at least 25 bits",
        ),
        (
            "discovery.ip_type = v6",
            1,
            "discovery.search.mask",
            "at least 108 bits",
        ),
        (
            "discovery.search.min_udp_port = 31001",
            1,
            "discovery.search.max_udp_port",
            "31001",
        ),
        (
            "discovery.ip_type = v6\ndiscovery.address = 10.0.0.1",
            2,
            "discovery.address",
            "v6",
        ),
        (
            "discovery.address = 0.0.0.0",
            1,
            "discovery.address",
            "this machine",
        ),
    ] {
        let faults = faults(text);
        let (at, key, message) = &faults[0];
        assert_eq!((*at, key.as_str()), (line, word), "{text}: {message}");
        assert!(message.contains(said), "{text}: {message}");
    }
    assert!(DiscoverySettings::parse("f", "discovery.search.mask = 12").is_ok());
}

proptest! {
    #[test]
    fn arbitrary_text_does_not_panic(text in "(discovery\\.(nic|ip_type|udp_port|search\\.mask|search\\.max_udp_port) ?= ?\\PC{0,6}\n|\\PC{0,20}\n){0,8}") {
        let _ = DiscoverySettings::parse("f", &text);
    }
}
