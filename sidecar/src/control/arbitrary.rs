//! Any command at all, for property tests.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::command::{
    Add, CheckUpdate, Command, Counted, Figure, List, ListenerName, ListenerSpec, ListenerUpdate, Remove,
    ServerGroupSpec, SmartGroupSpec, SmartNodeSpec, Update,
};
use super::sessions::SessionPattern;
use crate::balance::{CheckConfig, Method};
use crate::interface::IpType;
use crate::proxy::access::{Protocol, Rule, Verdict};

/// Few names, some of which are words of the language, so that commands meet each other.
fn name() -> impl Strategy<Value = String> {
    select(vec![
        "x",
        "y",
        "a.my.service.com:80",
        "address",
        "to",
        "in",
        "weight",
        "list",
        "é",
        "[::1]:80",
    ])
    .prop_map(str::to_owned)
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (
        select(vec!["127.0.0.1", "10.1.2.3", "::1"]),
        select(vec![0_u16, 80, 81]),
    )
        .prop_map(|(ip, port)| SocketAddr::new(ip.parse().unwrap(), port))
}

fn millis() -> impl Strategy<Value = Duration> {
    (1..=3_600_000_u64).prop_map(Duration::from_millis)
}

fn weight() -> impl Strategy<Value = u32> {
    prop_oneof![Just(10), 0..=65535_u32]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    select(vec![Verdict::Allow, Verdict::Deny])
}

fn method() -> impl Strategy<Value = Method> {
    select(vec![Method::Wrr, Method::Wlc, Method::Source])
}

fn listener_spec() -> impl Strategy<Value = ListenerSpec> {
    (address(), name(), option::of(name())).prop_map(|(address, backend, security_group)| ListenerSpec {
        address,
        backend,
        security_group,
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let network = (
        any::<[u8; 4]>(),
        0..=32_u8,
        any::<[u8; 16]>(),
        0..=128_u8,
        any::<bool>(),
    );
    let network = network.prop_map(|(v4, bits4, v6, bits6, is_v4)| {
        let net = if is_v4 {
            IpNet::new(v4.into(), bits4)
        } else {
            IpNet::new(v6.into(), bits6)
        };
        net.unwrap().trunc()
    });
    let ports = (1..=65535_u16, 1..=65535_u16).prop_map(|(a, b)| (a.min(b), a.max(b)));
    (
        network,
        select(vec![Protocol::Tcp, Protocol::Udp]),
        ports,
        verdict(),
    )
        .prop_map(|(network, protocol, ports, verdict)| Rule {
            network,
            protocol,
            ports,
            verdict,
        })
}

fn add() -> impl Strategy<Value = Add> {
    let check = (millis(), millis(), 1..=1000_u32, 1..=1000_u32).prop_map(|(timeout, period, up, down)| {
        CheckConfig {
            timeout,
            period,
            up,
            down,
        }
    });
    prop_oneof![
        name().prop_map(|name| Add::ServerGroups { name }),
        (name(), check, method()).prop_map(|(name, check, method)| Add::ServerGroup {
            name,
            spec: ServerGroupSpec { check, method }
        }),
        (name(), name(), weight()).prop_map(|(name, groups, weight)| Add::ServerGroupTo {
            name,
            groups,
            weight
        }),
        (name(), name(), address(), weight()).prop_map(|(name, group, address, weight)| Add::Server {
            name,
            group,
            address,
            weight
        }),
        (name(), listener_spec()).prop_map(|(name, spec)| Add::TcpLb { name, spec }),
        (name(), listener_spec(), any::<bool>()).prop_map(|(name, spec, allow_non_backend)| {
            Add::Socks5Server {
                name,
                spec,
                allow_non_backend,
            }
        }),
        (name(), verdict()).prop_map(|(name, default)| Add::SecurityGroup { name, default }),
        (name(), name(), rule()).prop_map(|(name, group, rule)| Add::SecurityGroupRule { name, group, rule }),
        (name(), name(), name(), name()).prop_map(|(name, service, zone, group)| {
            Add::SmartGroupDelegate {
                name,
                spec: SmartGroupSpec { service, zone, group },
            }
        }),
        smart_node(),
    ]
}

fn smart_node() -> impl Strategy<Value = Add> {
    let ip_type = select(vec![IpType::V4, IpType::V6]);
    let port = option::of(select(vec![1_u16, 80, 65535]));
    (name(), name(), name(), name(), ip_type, port, weight()).prop_map(
        |(name, service, zone, nic, ip_type, port, weight)| Add::SmartNodeDelegate {
            name,
            spec: SmartNodeSpec {
                service,
                zone,
                nic,
                ip_type,
                port,
                weight,
            },
        },
    )
}

fn update() -> impl Strategy<Value = Update> {
    let check = (
        option::of(millis()),
        option::of(millis()),
        option::of(1..=1000_u32),
        option::of(1..=1000_u32),
    )
        .prop_map(|(timeout, period, up, down)| CheckUpdate {
            timeout,
            period,
            up,
            down,
        });
    let listener = || {
        (option::of(name()), option::of(option::of(name()))).prop_map(|(backend, security_group)| {
            ListenerUpdate {
                backend,
                security_group,
            }
        })
    };
    let group = (name(), check, option::of(method()))
        .prop_filter("it changes something", |(_, check, method)| {
            *check != CheckUpdate::default() || method.is_some()
        })
        .prop_map(|(name, check, method)| Update::ServerGroup { name, check, method });
    let tcp_lb = (name(), listener())
        .prop_filter("it changes something", |(_, listener)| {
            *listener != ListenerUpdate::default()
        })
        .prop_map(|(name, listener)| Update::TcpLb { name, listener });
    let socks5 = (name(), listener(), option::of(any::<bool>()))
        .prop_filter("it changes something", |(_, listener, allow)| {
            *listener != ListenerUpdate::default() || allow.is_some()
        })
        .prop_map(|(name, listener, allow_non_backend)| Update::Socks5Server {
            name,
            listener,
            allow_non_backend,
        });
    prop_oneof![
        group,
        (name(), name(), weight()).prop_map(|(name, groups, weight)| Update::ServerGroupIn {
            name,
            groups,
            weight
        }),
        (name(), name(), weight()).prop_map(|(name, group, weight)| Update::Server { name, group, weight }),
        tcp_lb,
        socks5,
        (name(), verdict()).prop_map(|(name, default)| Update::SecurityGroup { name, default }),
    ]
}

fn listener_name() -> impl Strategy<Value = ListenerName> {
    prop_oneof![
        name().prop_map(ListenerName::TcpLb),
        name().prop_map(ListenerName::Socks5Server)
    ]
}

fn remove() -> impl Strategy<Value = Remove> {
    prop_oneof![
        name().prop_map(Remove::ServerGroups),
        name().prop_map(Remove::ServerGroup),
        (name(), name()).prop_map(|(name, groups)| Remove::ServerGroupFrom { name, groups }),
        (name(), name()).prop_map(|(name, group)| Remove::Server { name, group }),
        name().prop_map(Remove::TcpLb),
        name().prop_map(Remove::Socks5Server),
        name().prop_map(Remove::SecurityGroup),
        (name(), name()).prop_map(|(name, group)| Remove::SecurityGroupRule { name, group }),
        name().prop_map(Remove::SmartGroupDelegate),
        name().prop_map(Remove::SmartNodeDelegate),
    ]
}

fn session() -> impl Strategy<Value = Command> {
    let which = select(vec![
        "127.0.0.1:5000",
        "/^10\\./",
        "127.0.0.1:1->10.0.0.1:2",
        "//",
    ]);
    (which, listener_name()).prop_map(|(which, listener)| {
        let which: SessionPattern = which.parse().unwrap();
        Command::Remove {
            what: Remove::Session { which, listener },
            force: true,
        }
    })
}

fn list() -> impl Strategy<Value = List> {
    let of = prop_oneof![
        listener_name().prop_map(Counted::Listener),
        (address(), listener_name())
            .prop_map(|(address, listener)| Counted::BindServer { address, listener }),
        (name(), name()).prop_map(|(name, group)| Counted::Server { name, group }),
    ];
    let figure = select(vec![Figure::BytesIn, Figure::BytesOut, Figure::AcceptedConnCount]);
    prop_oneof![
        Just(List::ServerGroups),
        option::of(name()).prop_map(|groups| List::ServerGroup { groups }),
        name().prop_map(|group| List::Server { group }),
        Just(List::TcpLb),
        Just(List::Socks5Server),
        Just(List::SecurityGroup),
        name().prop_map(|group| List::SecurityGroupRule { group }),
        Just(List::SmartGroupDelegate),
        Just(List::SmartNodeDelegate),
        listener_name().prop_map(List::BindServer),
        listener_name().prop_map(List::Connection),
        listener_name().prop_map(List::Session),
        (figure, of).prop_map(|(figure, of)| List::Figure { figure, of }),
    ]
}

/// A command that changes something.
pub(super) fn change() -> impl Strategy<Value = Command> {
    prop_oneof![
        6 => add().prop_map(Command::Add),
        2 => update().prop_map(Command::Update),
        2 => (remove(), any::<bool>()).prop_map(|(what, force)| Command::Remove { what, force }),
    ]
}

/// Any command.
pub(super) fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        8 => change(),
        1 => session(),
        4 => (list(), any::<bool>()).prop_map(|(what, detail)| Command::List { what, detail }),
    ]
}
