//! The values of keys: how each kind is parsed from a word and from JSON, and the text that describes what is
//! expected.

mod json;
mod numbers;

use std::fmt;
use std::net::SocketAddr;

use ipnet::IpNet;

pub(super) use self::json::{Json, json, optional_json};
pub(super) use self::numbers::{
    Checks, ClientLimit, Eject, Millis, MillisOrZero, PortRange, ServerPort, Weight,
};
use super::suggestion::did_you_mean;
use crate::balance::{CheckKind, Method, Protocol};
use crate::interface::IpType;
use crate::invisible::is_invisible;
use crate::proxy::access::{self, Verdict};
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

/// What is wrong with a word that is no such value; continues a sentence that begins with the key.
pub(super) fn not_valid<T: Value>(word: &str) -> String {
    let meant = match T::JSON {
        Json::OneOf(words) => did_you_mean(word, words.iter().copied()),
        _ => String::new(),
    };
    format!("{word} is not valid; {meant}expected {}", T::EXPECTED)
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
    Protocol: ["tcp", "http/1.x", "h2", "http"], "tcp, http/1.x, h2 or http";
    access::Protocol: ["TCP", "UDP"], "TCP or UDP";
    IpType: ["v4", "v6"], "v4 or v6";
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
