//! Values that are numbers: ports, weights, times and counts.

use std::fmt;
use std::time::Duration;

use super::{Json, Value};
use crate::balance::OutlierEjection;
use crate::balance::service::MAX_WEIGHT;

/// A TCP port, or 0 for any.
impl Value for u16 {
    const EXPECTED: &'static str = "a port from 0 to 65535";
    const JSON: Json = Json::Integer { min: 0, max: 65535 };

    fn parse(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

/// The port that a server listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::control) struct ServerPort(pub u16);

impl fmt::Display for ServerPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Value for ServerPort {
    const EXPECTED: &'static str = "a port from 1 to 65535";
    const JSON: Json = Json::Integer { min: 1, max: 65535 };

    fn parse(word: &str) -> Option<Self> {
        word.parse().ok().filter(|port| *port > 0).map(Self)
    }
}

/// A share of connections, relative to the others'; at 0 it takes none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::control) struct Weight(pub u32);

impl Default for Weight {
    /// The default of the original.
    fn default() -> Self {
        Self(10)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Value for Weight {
    const EXPECTED: &'static str = "a weight from 0 to 2147483647";
    const JSON: Json = Json::Integer {
        min: 0,
        max: MAX_WEIGHT,
    };

    fn parse(word: &str) -> Option<Self> {
        word.parse().ok().filter(|weight| *weight <= MAX_WEIGHT).map(Self)
    }
}

/// A number of connections that a client address may have open; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::control) struct ClientLimit(pub u32);

impl fmt::Display for ClientLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Value for ClientLimit {
    const EXPECTED: &'static str = "a number of connections from 0 to 1000000, 0 for no limit";
    const JSON: Json = Json::Integer {
        min: 0,
        max: 1_000_000,
    };

    fn parse(word: &str) -> Option<Self> {
        word.parse().ok().filter(|limit| *limit <= 1_000_000).map(Self)
    }
}

/// A time in milliseconds, up to an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::control) struct Millis(pub Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_millis().fmt(f)
    }
}

impl Value for Millis {
    const EXPECTED: &'static str = "milliseconds from 1 to 3600000";
    const JSON: Json = Json::Integer {
        min: 1,
        max: 3_600_000,
    };

    fn parse(word: &str) -> Option<Self> {
        let millis = word.parse().ok().filter(|n| (1..=3_600_000).contains(n))?;
        Some(Self(Duration::from_millis(millis)))
    }
}

/// A time in milliseconds, up to a day; 0 has a meaning of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::control) struct MillisOrZero(pub Duration);

impl fmt::Display for MillisOrZero {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_millis().fmt(f)
    }
}

impl Value for MillisOrZero {
    const EXPECTED: &'static str = "milliseconds from 0 to 86400000";
    const JSON: Json = Json::Integer {
        min: 0,
        max: 86_400_000,
    };

    fn parse(word: &str) -> Option<Self> {
        let millis = word.parse().ok().filter(|n| *n <= 86_400_000)?;
        Some(Self(Duration::from_millis(millis)))
    }
}

/// Consecutive health checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::control) struct Checks(pub u32);

impl fmt::Display for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Value for Checks {
    const EXPECTED: &'static str = "a number of checks from 1 to 1000";
    const JSON: Json = Json::Integer { min: 1, max: 1000 };

    fn parse(word: &str) -> Option<Self> {
        let checks = word.parse().ok().filter(|n| (1..=1000).contains(n))?;
        Some(Self(checks))
    }
}

/// The first and the last of a range of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::control) struct PortRange(pub u16, pub u16);

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.0, self.1)
    }
}

impl Value for PortRange {
    const EXPECTED: &'static str = "the first and the last port, such as 80,90";

    fn parse(word: &str) -> Option<Self> {
        let (first, last) = word.split_once(',')?;
        let (first, last) = (u16::parse(first)?, u16::parse(last)?);
        (first <= last).then_some(Self(first, last))
    }
}

/// When instances are ejected for their answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::control) struct Eject(pub Option<OutlierEjection>);

impl fmt::Display for Eject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(OutlierEjection { failures, time }) => write!(f, "{failures} for {}", time.as_millis()),
            None => f.write_str("off"),
        }
    }
}

impl Value for Eject {
    const EXPECTED: &'static str =
        "off, or a number of failures from 1 to 1000 and milliseconds from 1 to 3600000 such as 5 for 30000";

    fn parse(word: &str) -> Option<Self> {
        if word == "off" {
            return Some(Self(None));
        }
        let (failures, time) = word.split_once(" for ")?;
        let failures = failures.parse().ok().filter(|n| (1..=1000).contains(n))?;
        let Millis(time) = Millis::parse(time)?;
        Some(Self(Some(OutlierEjection { failures, time })))
    }
}
