//! The values of keys: how each kind is parsed from a word and from JSON, and the text that describes what is
//! expected.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::balance::service::MAX_WEIGHT;
use crate::balance::{CheckKind, Method};
use crate::interface::IpType;
use crate::invisible::is_invisible;
use crate::proxy::access::{Protocol, Verdict};
use crate::resolve::HostPort;

/// Maximum length of a name, in bytes.
const MAX_NAME: usize = 255;

/// Maximum number of characters of a value that a message repeats.
const SHOWN: usize = 80;

/// The word for no security group.
pub(super) const ALLOW_ALL: &str = "(allow-all)";

/// A kind of value. [`fmt::Display`] writes the word that [`Value::parse`] reads.
pub(super) trait Value: Sized + fmt::Display {
    /// The expected value, in words.
    const EXPECTED: &'static str;
    /// Whether it is any name: a key's own help then says more than [`Value::EXPECTED`].
    const IS_NAME: bool = false;
    /// Its JSON type.
    const JSON: Json = Json::Text;

    /// Parses a word; `None` if it is not such a value.
    fn parse(word: &str) -> Option<Self>;
}

/// A JSON type, and the limits of its values.
#[derive(Debug, Clone, Copy)]
pub(super) enum Json {
    Text,
    OneOf(&'static [&'static str]),
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for the API document, which tests write")
    )]
    Integer {
        min: u32,
        max: u32,
    },
    Bool,
}

impl Json {
    fn noun(self) -> &'static str {
        match self {
            Self::Text | Self::OneOf(_) => "a string",
            Self::Integer { .. } => "a number",
            Self::Bool => "true or false",
        }
    }

    /// A word as a value of this type.
    #[cfg(test)]
    pub(super) fn value(self, word: &str) -> serde_json::Value {
        match self {
            Self::Text | Self::OneOf(_) => word.into(),
            Self::Integer { .. } | Self::Bool => word.parse().unwrap_or_default(),
        }
    }
}

/// Parses a value from JSON, for `#[serde(deserialize_with)]`.
///
/// # Errors
/// The message continues a sentence that begins with the field's name.
pub(super) fn json<'de, D: Deserializer<'de>, T: Value>(deserializer: D) -> Result<T, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    let word = match (T::JSON, &value) {
        (Json::Text | Json::OneOf(_), serde_json::Value::String(text)) => text.clone(),
        (Json::Integer { .. }, serde_json::Value::Number(number)) => integer(number),
        (Json::Bool, serde_json::Value::Bool(_)) => value.to_string(),
        (json, _) => {
            let (noun, found) = (json.noun(), shortened(&value.to_string()));
            return Err(D::Error::custom(format_args!("must be {noun}, found {found}")));
        }
    };
    T::parse(&word).ok_or_else(|| {
        let (found, expected) = (shortened(&word), T::EXPECTED);
        D::Error::custom(format_args!("{found} is not valid; expected {expected}"))
    })
}

/// A number as a word. JSON has no integers: 500, 500.0 and 5e2 are the same number (RFC 8259, section 6), and some
/// clients write every number with a fraction.
fn integer(number: &serde_json::Number) -> String {
    match number.as_f64() {
        // An `f64` holds every integer up to 2^53.
        Some(float) if float.fract() == 0.0 && float.abs() < 9e15 => format!("{}", float as i64),
        _ => number.to_string(),
    }
}

/// Like [`json`], for a field that may be left out.
pub(super) fn optional_json<'de, D: Deserializer<'de>, T: Value>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    json(deserializer).map(Some)
}

/// A text, cut to the length that a message repeats.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// A name.
impl Value for String {
    const EXPECTED: &'static str = "a name of 1 to 255 bytes, without spaces, commas, control or invisible characters, not starting with a parenthesis";
    const IS_NAME: bool = true;

    fn parse(word: &str) -> Option<Self> {
        let odd = |c: char| c == ' ' || is_invisible(c) || c == ',';
        let fits = (1..=MAX_NAME).contains(&word.len()) && !word.contains(odd) && !word.starts_with('(');
        fits.then(|| word.to_owned())
    }
}

impl Value for SocketAddr {
    const EXPECTED: &'static str = "an address such as 127.0.0.1:1080 or [::1]:1080";

    fn parse(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

impl Value for IpNet {
    const EXPECTED: &'static str = "a network such as 10.0.0.0/8 or fd00::/8";

    /// The original writes an IPv6 address between brackets.
    fn parse(word: &str) -> Option<Self> {
        let (address, bits) = word.split_once('/')?;
        let address = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let word = address.map_or_else(|| word.to_owned(), |address| format!("{address}/{bits}"));
        word.parse::<Self>().ok().filter(|n| n.addr() == n.network())
    }
}

impl Value for bool {
    const EXPECTED: &'static str = "true or false";
    const JSON: Json = Json::Bool;

    fn parse(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

/// A TCP port, or 0 for any.
impl Value for u16 {
    const EXPECTED: &'static str = "a port from 0 to 65535";
    const JSON: Json = Json::Integer { min: 0, max: 65535 };

    fn parse(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

/// A host name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host(pub String);

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value for Host {
    const EXPECTED: &'static str = "a host name such as api or api.example.org";

    fn parse(word: &str) -> Option<Self> {
        let host: HostPort = format!("{word}:0").parse().ok()?;
        Some(Self(host.host().to_owned()))
    }
}

/// How servers are checked.
impl Value for CheckKind {
    const EXPECTED: &'static str = "tcp, passive, or http followed by a path such as /healthz";

    fn parse(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

/// The port that a server listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ServerPort(pub u16);

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

macro_rules! words {
    ($($type:ty: $words:expr, $expected:literal;)+) => {$(
        impl Value for $type {
            const EXPECTED: &'static str = $expected;
            const JSON: Json = Json::OneOf(&$words);

            fn parse(word: &str) -> Option<Self> {
                word.parse().ok()
            }
        }
    )+};
}

words! {
    Method: ["wrr", "wlc", "source"], "a method: wrr, wlc or source";
    Verdict: ["allow", "deny"], "allow or deny";
    Protocol: ["TCP", "UDP"], "TCP or UDP";
    IpType: ["v4", "v6"], "v4 or v6";
}

/// A share of connections, relative to the others'; at 0 it takes none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weight(pub u32);

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
pub(super) struct ClientLimit(pub u32);

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
pub(super) struct Millis(pub Duration);

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
pub(super) struct MillisOrZero(pub Duration);

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
pub(super) struct Checks(pub u32);

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
pub(super) struct PortRange(pub u16, pub u16);

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

/// The name of a security group, or `(allow-all)` for none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SecurityGroupRef(pub Option<String>);

impl fmt::Display for SecurityGroupRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or(ALLOW_ALL))
    }
}

impl Value for SecurityGroupRef {
    const EXPECTED: &'static str = "the name of a security-group, or (allow-all)";

    fn parse(word: &str) -> Option<Self> {
        match word {
            ALLOW_ALL => Some(Self(None)),
            name => String::parse(name).map(|name| Self(Some(name))),
        }
    }
}
