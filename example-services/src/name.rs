//! Names of services and zones.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A label of a domain name (RFC 1123 section 2.1) in lower case, valid in host names and URL paths without encoding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        let edges = text.starts_with('-') || text.ends_with('-');
        if (1..=63).contains(&text.len()) && text.bytes().all(plain) && !edges {
            Ok(Name(text.to_owned()))
        } else {
            Err("expected 1 to 63 small letters, digits and inner hyphens, such as a")
        }
    }
}
