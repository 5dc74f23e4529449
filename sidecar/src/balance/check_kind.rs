//! How a group's servers are checked.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// How a group's servers are checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CheckKind {
    /// A connection must be accepted.
    #[default]
    Tcp,
    /// A GET of this path must be answered with 2xx or 3xx.
    Http(Arc<str>),
    /// As [`CheckKind::Tcp`], but only until it passes for the first time, and after a client's connection failed.
    Passive,
}

/// Longest path of a check, in bytes.
const MAX_PATH: usize = 1024;

impl FromStr for CheckKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_path = |path: &str| {
            let visible = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
            path.starts_with('/') && path.len() <= MAX_PATH && visible
        };
        match (text, text.strip_prefix("http ")) {
            ("tcp", _) => Ok(Self::Tcp),
            ("passive", _) => Ok(Self::Passive),
            (_, Some(path)) if is_path(path) => Ok(Self::Http(path.into())),
            _ => Err(()),
        }
    }
}

impl fmt::Display for CheckKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp => f.write_str("tcp"),
            Self::Http(path) => write!(f, "http {path}"),
            Self::Passive => f.write_str("passive"),
        }
    }
}
