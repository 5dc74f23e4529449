use ipnet::IpNet;
use proptest::prelude::*;

use super::super::table::{Address, AddressFlags as Flags, Interface};
use super::*;

fn address(net: &str, flags: Flags) -> Address {
    Address {
        net: net.parse().expect("an address with a prefix length"),
        scope: 0,
        flags,
    }
}

fn interface(name: &str, addresses: &[Address]) -> Interface {
    Interface {
        name: name.to_owned(),
        loopback: name == "lo",
        up: true,
        addresses: addresses.to_vec(),
    }
}

fn with(name: &str, nets: &[&str]) -> Interface {
    let addresses: Vec<Address> = nets.iter().map(|net| address(net, Flags::PERMANENT)).collect();
    interface(name, &addresses)
}

fn lo() -> Interface {
    with("lo", &["127.0.0.1/8", "::1/128"])
}

/// The address chosen for `eth0`, and the interface that has it.
fn chosen(table: &Table, ip_type: IpType) -> (String, String) {
    let choice = table.choose("eth0", ip_type, None).expect("an address");
    (choice.nic, choice.address.to_string())
}

fn best_of(ip_type: IpType, addresses: &[Address]) -> String {
    chosen(&Table::new(vec![lo(), interface("eth0", addresses)]), ip_type).1
}

fn refused(table: &Table, ip_type: IpType) -> String {
    table
        .choose("eth0", ip_type, None)
        .expect_err("no address")
        .to_string()
}

#[test]
fn of_ipv4_addresses_the_first_primary_one_with_the_widest_scope_is_chosen() {
    let link = Address {
        scope: 253,
        ..address("10.0.0.1/24", Flags::PERMANENT)
    };
    let addresses = [
        address("10.0.0.9/24", Flags::SECONDARY),
        link,
        address("169.254.3.4/16", Flags::PERMANENT),
        address("10.0.0.8/24", Flags::DEPRECATED),
        address("10.0.0.2/24", Flags::PERMANENT),
        address("10.0.1.3/24", Flags::PERMANENT),
    ];
    assert_eq!(best_of(IpType::V4, &addresses), "10.0.0.2");
    assert_eq!(best_of(IpType::V4, &addresses[..4]), "169.254.3.4");
    assert_eq!(best_of(IpType::V4, &addresses[..2]), "10.0.0.1");
    assert_eq!(best_of(IpType::V4, &addresses[..1]), "10.0.0.9");
}

#[test]
fn of_ipv6_addresses_a_stable_global_one_is_chosen_that_can_be_bound() {
    let addresses = [
        address("fe80::1/64", Flags::PERMANENT),
        address("2001:db8::f/64", Flags::PERMANENT | Flags::DUPLICATE),
        address("2001:db8::e/64", Flags::PERMANENT | Flags::TENTATIVE),
        address("2001:db8::d/64", Flags::MANAGES_TEMPORARY | Flags::DEPRECATED),
        // A temporary one.
        address("2001:db8::c/64", Flags::SECONDARY),
        address("fd00::2/64", Flags::PERMANENT),
        address("2001:db8::b/64", Flags::NONE),
        address("2001:db8::a/64", Flags::MANAGES_TEMPORARY),
    ];
    for (count, expected) in [
        (8, "2001:db8::a"),
        (7, "2001:db8::b"),
        (6, "fd00::2"),
        (5, "2001:db8::c"),
        (4, "2001:db8::d"),
        (3, "2001:db8::e"),
    ] {
        assert_eq!(best_of(IpType::V6, &addresses[..count]), expected);
    }
    let table = Table::new(vec![lo(), interface("eth0", &addresses[..2])]);
    assert_eq!(
        refused(&table, IpType::V6),
        "network interface eth0 has no v6 address that other nodes can use: fe80::1 (link-local), \
         2001:db8::f (another host has it: duplicate address detection failed)"
    );
}

#[test]
fn a_tentative_address_cannot_be_bound_yet_and_an_optimistic_one_can() {
    for (flags, bindable) in [
        (Flags::TENTATIVE, false),
        (Flags::TENTATIVE | Flags::OPTIMISTIC, true),
    ] {
        let table = Table::new(vec![interface("eth0", &[address("fd00::2/64", flags)])]);
        let choice = table.choose("eth0", IpType::V6, None).expect("an address");
        assert_eq!(choice.bindable().is_ok(), bindable, "{flags:?}");
    }
}

#[test]
fn the_address_in_use_is_kept_until_it_is_deprecated_or_gone() {
    let old = address("2001:db8:1::2/64", Flags::PERMANENT);
    let new = address("2001:db8:2::2/64", Flags::PERMANENT);
    let before = Table::new(vec![interface("eth0", &[old])]);
    let choice = before.choose("eth0", IpType::V6, None).expect("an address");
    let after = |addresses: &[Address]| {
        let table = before.followed_by(vec![interface("eth0", addresses)]);
        let choice = table.choose("eth0", IpType::V6, Some(&choice));
        choice.expect("an address").address.to_string()
    };
    assert_eq!(after(&[new, old]), "2001:db8:1::2");
    assert_eq!(after(&[new]), "2001:db8:2::2");
    let deprecated = Address {
        flags: Flags::PERMANENT | Flags::DEPRECATED,
        ..old
    };
    assert_eq!(after(&[deprecated, new]), "2001:db8:2::2");
    assert_eq!(after(&[deprecated]), "2001:db8:1::2");
    let wider: IpNet = "2001:db8:1::2/48".parse().expect("a network");
    assert_eq!(after(&[new, Address { net: wider, ..old }]), "2001:db8:1::2");
}

#[test]
fn an_interface_in_the_network_of_the_one_that_is_gone_takes_its_place() {
    let before = Table::new(vec![lo(), with("eth0", &["172.18.0.2/16"])]);
    let others = [with("eth1", &["10.9.0.2/24"]), with("eth2", &["172.18.0.7/16"])];
    let after = before.followed_by([&[lo()], others.as_slice()].concat());
    assert_eq!(
        chosen(&after, IpType::V4),
        ("eth2".to_owned(), "172.18.0.7".to_owned())
    );
    // Also if the network is gone from the configured interface, as when it joins a bridge.
    let bridged = before.followed_by(vec![with("eth0", &[]), with("br0", &["172.18.0.2/16"])]);
    assert_eq!(chosen(&bridged, IpType::V4).0, "br0");
    // It comes back: it is the configured one.
    let back = after.followed_by(vec![
        with("eth2", &["172.18.0.7/16"]),
        with("eth0", &["10.1.0.2/24"]),
    ]);
    assert_eq!(chosen(&back, IpType::V4).0, "eth0");
}

#[test]
fn the_only_interface_takes_the_place_of_one_that_is_gone_or_expected() {
    let eth1 = || with("eth1", &["10.9.0.2/24", "fd00::2/64"]);
    let seen = Table::new(vec![lo(), with("eth0", &["172.18.0.2/16"])]);
    let expected = Table::default().expecting("eth0");
    for before in [seen, expected] {
        let idle = with("tunl0", &[]);
        assert_eq!(
            chosen(&before.followed_by(vec![lo(), idle, eth1()]), IpType::V4).0,
            "eth1"
        );
        let two = before.followed_by(vec![lo(), eth1(), with("eth2", &["10.8.0.2/24"])]);
        assert_eq!(
            refused(&two, IpType::V4),
            "there is no network interface eth0; there are: eth1, eth2, lo"
        );
        assert_eq!(
            chosen(&two, IpType::V6).0,
            "eth1",
            "the only one with a v6 address"
        );
        // One that has lost its address may get another.
        let there = before.followed_by(vec![lo(), with("eth0", &[]), eth1()]);
        assert_eq!(
            refused(&there, IpType::V4),
            "network interface eth0 has no v4 address"
        );
    }
    let never_seen = Table::new(vec![lo(), eth1()]);
    assert_eq!(
        refused(&never_seen, IpType::V4),
        "there is no network interface eth0; there are: eth1, lo"
    );
}

#[test]
fn an_interface_that_is_down_has_no_address() {
    let down = Interface {
        up: false,
        ..with("eth0", &["10.0.0.2/24"])
    };
    assert_eq!(
        refused(&Table::new(vec![down]), IpType::V4),
        "network interface eth0 is down"
    );
}

#[test]
fn the_networks_of_many_names_are_not_remembered_for_ever() {
    let names = (0..1000).map(|n| with(&format!("veth{n}"), &["10.0.0.2/24"]));
    let table = names.fold(Table::default(), |table, one| {
        table.followed_by(vec![with("eth0", &["10.0.0.3/24"]), one])
    });
    assert!(table.former("veth0").is_none() && table.former("veth999").is_some());
    assert!(table.former("eth0").is_some(), "it is still there");
}

fn any_table() -> impl Strategy<Value = Vec<Interface>> {
    let net = prop_oneof![
        (1_u8..4, 1_u8..5).prop_map(|(net, host)| format!("10.0.{net}.{host}/24")),
        (1_u8..4, 1_u8..5).prop_map(|(net, host)| format!("fd00:{net}::{host}/64")),
        (1_u8..5).prop_map(|host| format!("fe80::{host}/64")),
    ];
    let address = (net, any::<u32>()).prop_map(|(net, bits)| address(&net, Flags(bits)));
    let addresses = proptest::collection::vec(address, 0..4);
    let interface = (0..4_u8, any::<bool>(), addresses).prop_map(|(name, up, addresses)| Interface {
        up,
        ..interface(&format!("eth{name}"), &addresses)
    });
    proptest::collection::vec(interface, 0..4)
}

proptest! {
    #[test]
    fn a_choice_is_an_address_of_the_family_of_an_interface_that_is_up_and_stays(
        tables in proptest::collection::vec(any_table(), 1..6),
        v6: bool,
    ) {
        let ip_type = if v6 { IpType::V6 } else { IpType::V4 };
        let mut table = Table::default().expecting("eth0");
        let mut current = None;
        for interfaces in tables {
            table = table.followed_by(interfaces);
            let Ok(choice) = table.choose("eth0", ip_type, current.as_ref()) else {
                continue;
            };
            prop_assert_eq!(IpType::of(choice.address), ip_type);
            prop_assert!(table.has(choice.address));
            prop_assert_eq!(choice.reason == Reason::Configured, choice.nic == "eth0");
            let again = table.choose("eth0", ip_type, Some(&choice));
            prop_assert_eq!(again.map(|it| it.address), Ok(choice.address), "nothing has changed");
            current = Some(choice);
        }
    }
}
