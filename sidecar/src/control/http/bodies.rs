//! Every body: the fields that make each resource and those that change it. The one table behind what is read
//! and what the API document says.

use super::field::Given::{self, Else, May, Must};
use super::field::{Field, Fit, Holds, To, reads};
use super::original;
use crate::control::grammar::{Flag, Key};
use crate::control::values;

pub(super) const SERVER_GROUPS: &[Given] = &[Must(NAME)];
pub(super) const SERVER_GROUP: &[Given] = &[
    Must(NAME),
    Must(TIMEOUT),
    Must(PERIOD),
    Must(UP),
    Must(DOWN),
    Else(METHOD, r#""wrr""#),
    May(original::EVENT_LOOP_GROUP),
];
pub(super) const SERVER_GROUP_CHANGE: &[Given] = &[
    May(TIMEOUT),
    May(PERIOD),
    May(UP),
    May(DOWN),
    May(METHOD),
    May(original::EVENT_LOOP_GROUP),
];
pub(super) const ATTACHMENT: &[Given] = &[Must(NAME), Else(WEIGHT, "10")];
pub(super) const WEIGHT_CHANGE: &[Given] = &[Must(WEIGHT)];
pub(super) const SERVER: &[Given] = &[Must(NAME), Must(ADDRESS), Else(WEIGHT, "10")];
pub(super) const TCP_LB: &[Given] = &[
    Must(NAME),
    Must(ADDRESS),
    Must(BACKEND),
    Else(GUARD, r#""(allow-all)""#),
    May(original::ACCEPTOR_LOOP_GROUP),
    May(original::WORKER_LOOP_GROUP),
    May(original::IN_BUFFER_SIZE),
    May(original::OUT_BUFFER_SIZE),
];
pub(super) const TCP_LB_CHANGE: &[Given] = &[
    May(BACKEND),
    May(GUARD),
    May(original::IN_BUFFER_SIZE),
    May(original::OUT_BUFFER_SIZE),
];
pub(super) const SOCKS5_SERVER: &[Given] = &[
    Must(NAME),
    Must(ADDRESS),
    Must(BACKEND),
    Else(GUARD, r#""(allow-all)""#),
    Else(ALLOW_NON_BACKEND, "false"),
    May(original::ACCEPTOR_LOOP_GROUP),
    May(original::WORKER_LOOP_GROUP),
    May(original::IN_BUFFER_SIZE),
    May(original::OUT_BUFFER_SIZE),
];
pub(super) const SOCKS5_SERVER_CHANGE: &[Given] = &[
    May(BACKEND),
    May(GUARD),
    May(ALLOW_NON_BACKEND),
    May(original::IN_BUFFER_SIZE),
    May(original::OUT_BUFFER_SIZE),
];
pub(super) const SECURITY_GROUP: &[Given] = &[Must(NAME), Must(DEFAULT_RULE)];
pub(super) const SECURITY_GROUP_CHANGE: &[Given] = &[Must(DEFAULT_RULE)];
pub(super) const SECURITY_GROUP_RULE: &[Given] = &[
    Must(NAME),
    Must(CLIENT_NETWORK),
    Must(PROTOCOL),
    Must(PORT_MIN),
    Must(PORT_MAX),
    Must(RULE),
];
pub(super) const SMART_GROUP: &[Given] = &[Must(NAME), Must(SERVICE), Must(ZONE), Must(HANDLED_GROUP)];
pub(super) const SMART_NODE: &[Given] = &[
    Must(NAME),
    Must(SERVICE),
    Must(ZONE),
    Must(NIC),
    Else(IP_TYPE, r#""v4""#),
    May(EXPOSED_PORT),
    Else(WEIGHT, "10"),
];

macro_rules! fit {
    ($kind:ident) => {
        Fit {
            expected: values::$kind.expected,
            accepts: |word| reads(word, &values::$kind),
        }
    };
}

const NAME_FIT: Fit = fit!(NAME);
const VERDICTS: Holds = Holds::Word(&["allow", "deny"], fit!(VERDICT));
const MILLIS: Holds = Holds::Number(1, 3_600_000, fit!(MILLIS));
const TIMES: Holds = Holds::Number(1, 1000, fit!(TIMES));
const PORT: Holds = Holds::Number(1, 65535, fit!(PORT));

const NAME: Field = Field::new("name", To::Name, Holds::Text(NAME_FIT), "alias of the RESOURCE");
const ADDRESS: Field = Field::new(
    "address",
    To::Key(Key::Address),
    Holds::Text(fit!(ADDRESS)),
    "where the RESOURCE listens, as IP:PORT",
);
const WEIGHT: Field = Field::new(
    "weight",
    To::Key(Key::Weight),
    Holds::Number(0, 65535, fit!(WEIGHT)),
    "its share of the connections, relative to the others; 0 takes none",
)
.like(10);
const TIMEOUT: Field = Field::new(
    "timeout",
    To::Key(Key::Timeout),
    MILLIS,
    "how long a health check may take, in milliseconds",
)
.like(1000);
const PERIOD: Field = Field::new(
    "period",
    To::Key(Key::Period),
    MILLIS,
    "from one health check to the next, in milliseconds",
)
.like(5000);
const UP: Field = Field::new(
    "up",
    To::Key(Key::Up),
    TIMES,
    "good checks in a row that bring a server up",
)
.like(2);
const DOWN: Field = Field::new(
    "down",
    To::Key(Key::Down),
    TIMES,
    "failed checks in a row that bring a server down",
)
.like(3);
const METHOD: Field = Field::new(
    "method",
    To::Key(Key::Method),
    Holds::Word(&["wrr", "wlc", "source"], fit!(METHOD)),
    "load balancing method",
);
const BACKEND: Field = Field::new(
    "backend",
    To::Key(Key::ServerGroups),
    Holds::Text(NAME_FIT),
    "the server-groups that the RESOURCE takes connections to",
);
const GUARD: Field = Field::new(
    "securityGroup",
    To::Key(Key::SecurityGroup),
    Holds::Text(fit!(SECURITY_GROUP)),
    "the security-group that says which clients are served, or (allow-all)",
);
const ALLOW_NON_BACKEND: Field = Field::new(
    "allowNonBackend",
    To::Flag {
        yes: Flag::AllowNonBackend,
        no: Flag::DenyNonBackend,
    },
    Holds::Bool,
    "whether clients get to destinations that are no backend's",
);
const DEFAULT_RULE: Field = Field::new(
    "defaultRule",
    To::Key(Key::Default),
    VERDICTS,
    "allow or deny, for clients that no rule is about",
);
const CLIENT_NETWORK: Field = Field::new(
    "clientNetwork",
    To::Key(Key::Network),
    Holds::Text(fit!(NETWORK)),
    "the clients that the rule is about, as ADDRESS/BITS",
);
const PROTOCOL: Field = Field::new(
    "protocol",
    To::Key(Key::Protocol),
    Holds::Word(&["TCP", "UDP"], fit!(PROTOCOL)),
    "TCP or UDP; no listener here is UDP",
);
const PORT_MIN: Field = Field::new(
    "serverPortMin",
    To::First(Key::PortRange),
    PORT,
    "the first of the listeners' ports that the rule is about",
)
.like(1);
const PORT_MAX: Field = Field::new(
    "serverPortMax",
    To::Last,
    PORT,
    "the last of the listeners' ports that the rule is about",
)
.like(65535);
const RULE: Field = Field::new("rule", To::Key(Key::Default), VERDICTS, "allow or deny");
const SERVICE: Field = Field::new(
    "service",
    To::Key(Key::Service),
    Holds::Text(NAME_FIT),
    "the service's name in the mesh",
);
const ZONE: Field = Field::new(
    "zone",
    To::Key(Key::Zone),
    Holds::Text(NAME_FIT),
    "the service's zone in the mesh",
);
const HANDLED_GROUP: Field = Field::new(
    "handledGroup",
    To::Key(Key::ServerGroup),
    Holds::Text(NAME_FIT),
    "the server-group that is kept filled with the service's instances",
);
const NIC: Field = Field::new(
    "nic",
    To::Key(Key::Nic),
    Holds::Text(NAME_FIT),
    "the network interface that the instance listens on",
);
const IP_TYPE: Field = Field::new(
    "ipType",
    To::Key(Key::IpType),
    Holds::Word(&["v4", "v6"], fit!(IP_TYPE)),
    "which of the interface's addresses: v4 or v6",
);
const EXPOSED_PORT: Field = Field::new(
    "exposedPort",
    To::Key(Key::Port),
    PORT,
    "the port that the instance listens on; by default a free one is picked",
);
