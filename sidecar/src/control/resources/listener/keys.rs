//! The keys that every kind of listener has.

use crate::control::address::Address;
use crate::control::resources::spec::Key;
use crate::control::values::{ClientLimit, MillisOrZero, SecurityGroupRef};

pub(in crate::control::resources) const ADDRESS: Key = Key::required::<Address>(
    "address",
    "where the RESOURCE listens, as IP:PORT or HOST:PORT; with port 0 on a free one",
)
.short("addr");

pub(in crate::control::resources) const SERVER_GROUPS: Key = Key::required::<String>(
    "server-groups",
    "the server-groups that the RESOURCE takes connections to",
)
.short("sgs")
.field("backend")
.updatable();

pub(in crate::control::resources) const SECURITY_GROUP: Key = Key::default::<SecurityGroupRef>(
    "security-group",
    "(allow-all)",
    "the security-group that decides which clients are served, or (allow-all)",
)
.short("secg")
.field("securityGroup")
.updatable();

pub(in crate::control::resources) const HOLD: Key = Key::default::<MillisOrZero>(
    "hold",
    "0",
    "time for which a new connection waits while no server takes it, in milliseconds; 0 refuses it at once",
)
.added()
.updatable();

pub(in crate::control::resources) const IDLE_TIMEOUT: Key = Key::default::<MillisOrZero>(
    "idle-timeout",
    "0",
    "time without a byte in either direction after which a connection is reset, in milliseconds; 0 resets none",
)
.field("idleTimeout")
.added()
.updatable();

pub(in crate::control::resources) const REQUEST_TIMEOUT: Key = Key::default::<MillisOrZero>(
    "request-timeout",
    "0",
    "time in which an HTTP request must be answered, in milliseconds, or else the answer is 504; 0 is no limit",
)
.field("requestTimeout")
.added()
.updatable();

/// The flag that tells servers their clients' addresses, and its opposite.
pub(in crate::control::resources) const FORWARDED: [&str; 2] = ["send-forwarded", "omit-forwarded"];

pub(in crate::control::resources) const SEND_FORWARDED: Key = Key::flag(
    FORWARDED[0],
    FORWARDED[1],
    "whether HTTP requests tell servers the client's address, and the host and scheme that it used, in the headers \
     `Forwarded` and `X-Forwarded-For`, `-Host` and `-Proto`",
)
.field("sendForwarded")
.added()
.updatable();

pub(in crate::control::resources) const CLIENT_LIMIT: Key = Key::default::<ClientLimit>(
    "max-connections-per-client",
    "0",
    "how many connections one client address may have open; further ones are refused; 0 is no limit",
)
.field("maxConnectionsPerClient")
.added()
.updatable();
