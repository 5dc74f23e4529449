//! The kinds of values that stand behind keys: how each is read, and what is expected in words.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::error::CommandError;
use crate::balance::Method;
use crate::interface::IpType;
use crate::proxy::access::{Protocol, Verdict};

/// The longest name of anything, in bytes.
pub(super) const MAX_NAME: usize = 255;

/// What stands for no security group.
pub(super) const ALLOW_ALL: &str = "(allow-all)";

/// A kind of value.
pub(super) struct Kind<T> {
    /// What is expected, in words.
    pub(super) expected: &'static str,
    /// Reads one; `None` where the text is none.
    pub(super) parse: fn(&str) -> Option<T>,
}

pub(super) const ADDRESS: Kind<SocketAddr> = Kind {
    expected: "an address such as 127.0.0.1:1080 or [::1]:1080",
    parse: |s| s.parse().ok(),
};

pub(super) const WEIGHT: Kind<u32> = Kind {
    expected: "a weight from 0 to 65535",
    parse: |s| s.parse::<u16>().ok().map(u32::from),
};

pub(super) const MILLIS: Kind<Duration> = Kind {
    expected: "milliseconds from 1 to 3600000",
    parse: |s| {
        let millis = s.parse::<u64>().ok()?;
        (1..=3_600_000)
            .contains(&millis)
            .then(|| Duration::from_millis(millis))
    },
};

pub(super) const TIMES: Kind<u32> = Kind {
    expected: "a number of checks from 1 to 1000",
    parse: |s| s.parse().ok().filter(|n| (1..=1000).contains(n)),
};

pub(super) const METHOD: Kind<Method> = Kind {
    expected: "a method: wrr, wlc or source",
    parse: |s| s.parse().ok(),
};

pub(super) const IP_TYPE: Kind<IpType> = Kind {
    expected: "v4 or v6",
    parse: |s| s.parse().ok(),
};

pub(super) const PORT: Kind<u16> = Kind {
    expected: "a port from 1 to 65535",
    parse: |s| s.parse().ok().filter(|p| *p != 0),
};

pub(super) const VERDICT: Kind<Verdict> = Kind {
    expected: "allow or deny",
    parse: |s| s.parse().ok(),
};

pub(super) const NETWORK: Kind<IpNet> = Kind {
    expected: "a network such as 10.0.0.0/8 or fd00::/8",
    parse: |s| s.parse::<IpNet>().ok().filter(|n| n.addr() == n.network()),
};

pub(super) const PROTOCOL: Kind<Protocol> = Kind {
    expected: "TCP or UDP",
    parse: |s| s.parse().ok(),
};

pub(super) const PORT_RANGE: Kind<(u16, u16)> = Kind {
    expected: "the first and the last port, such as 80,90",
    parse: |s| {
        let (first, last) = s.split_once(',')?;
        let range = ((PORT.parse)(first)?, (PORT.parse)(last)?);
        (range.0 <= range.1).then_some(range)
    },
};

/// The name of a security group, or what stands for none.
pub(super) const SECURITY_GROUP: Kind<Option<String>> = Kind {
    expected: "the name of a security-group, or (allow-all)",
    parse: |s| {
        if s == ALLOW_ALL {
            Some(None)
        } else {
            (NAME.parse)(s).map(Some)
        }
    },
};

pub(super) const NAME: Kind<String> = Kind {
    expected: "1 to 255 bytes without white space, control characters, commas or a parenthesis in front",
    parse: |s| {
        let fits = (1..=MAX_NAME).contains(&s.len());
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == ',';
        (fits && !s.contains(odd) && !s.starts_with('(')).then(|| s.to_owned())
    },
};

/// Checks a resource's name.
pub(super) fn check_name(resource: &str, name: &str) -> Result<(), CommandError> {
    match (NAME.parse)(name) {
        Some(_) => Ok(()),
        None => Err(CommandError::invalid(
            name,
            format!(
                "{name:?} is not a valid name for a {resource}; expected {}",
                NAME.expected
            ),
        )),
    }
}
