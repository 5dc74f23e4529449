//! Patterns that select sessions: an address, or a regular expression that is matched against a session's line in
//! `list`.

use std::fmt;
use std::str::FromStr;

use regex_lite::{Regex, RegexBuilder};

/// Maximum length of a pattern, in bytes.
const MAX_PATTERN: usize = 255;
/// Maximum size of a compiled pattern, in bytes.
const MAX_COMPILED: usize = 64 * 1024;

/// Selects sessions.
#[derive(Debug, Clone)]
pub enum SessionPattern {
    /// Sessions with this address at one of their ends, and those with exactly this line.
    Address(String),
    /// Sessions whose line matches; written between slashes.
    Regex(Regex),
}

impl SessionPattern {
    /// Whether it selects a session with this line: `CLIENT->INSTANCE`.
    #[must_use]
    pub fn matches(&self, listed: &str) -> bool {
        match self {
            Self::Address(address) => listed == address || listed.split("->").any(|end| end == address),
            Self::Regex(regex) => regex.is_match(listed),
        }
    }
}

impl FromStr for SessionPattern {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.is_empty() || text.len() > MAX_PATTERN || text.contains(char::is_whitespace) {
            return Err(());
        }
        match text.strip_prefix('/').and_then(|t| t.strip_suffix('/')) {
            Some(regex) => RegexBuilder::new(regex)
                .size_limit(MAX_COMPILED)
                .build()
                .map(Self::Regex)
                .map_err(|_| ()),
            None => Ok(Self::Address(text.to_owned())),
        }
    }
}

impl fmt::Display for SessionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => f.write_str(address),
            Self::Regex(regex) => write!(f, "/{}/", regex.as_str()),
        }
    }
}

impl PartialEq for SessionPattern {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Address(a), Self::Address(b)) => a == b,
            (Self::Regex(a), Self::Regex(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

impl Eq for SessionPattern {}
