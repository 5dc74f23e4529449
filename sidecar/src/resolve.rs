//! Host names: their form, and looking them up. A lookup blocks a thread and cannot be cancelled, so that their number is
//! limited.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Maximum number of concurrent lookups of one resolver.
const MAX_LOOKUPS: usize = 32;
/// Maximum number of addresses that are kept of one name.
const MAX_ADDRESSES: usize = 8;
/// Timeout of a lookup for a command or a health check.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest host name, in bytes (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 253;

/// Looks up the hosts of servers and listeners.
static CONFIGURED: LazyLock<Resolver> = LazyLock::new(Resolver::default);

/// A host name and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    host: String,
    port: u16,
}

/// Why a host name has no address.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The lookup failed.
    #[error("{0} cannot be resolved: {1}")]
    Failed(String, io::Error),
    /// The lookup found no address.
    #[error("{0} has no address")]
    Empty(String),
    /// The lookup took too long.
    #[error("{0} was not resolved within {LOOKUP_TIMEOUT:?}")]
    TooSlow(String),
}

impl HostPort {
    /// The host's name.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Looks up the address: the first of IPv4, or else the first of IPv6.
    ///
    /// # Errors
    /// When there is none within 5 s.
    pub async fn resolve(&self) -> Result<SocketAddr, ResolveError> {
        let host = || self.host.clone();
        let found = timeout(LOOKUP_TIMEOUT, CONFIGURED.look_up(host(), self.port)).await;
        let found = found.map_err(|_| ResolveError::TooSlow(host()))?;
        let found = found.map_err(|error| ResolveError::Failed(host(), error))?;
        let v4 = found.iter().find(|address| address.is_ipv4());
        v4.or(found.first())
            .copied()
            .ok_or_else(|| ResolveError::Empty(host()))
    }
}

impl FromStr for HostPort {
    type Err = ();

    /// Reads `HOST:PORT`. The last label of the name is no number, so that no misspelt address is one.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (host, port) = text.rsplit_once(':').ok_or(())?;
        let port = port.parse().map_err(|_| ())?;
        let name = host.strip_suffix('.').unwrap_or(host);
        let last = name.rsplit('.').next().unwrap_or_default();
        match is_host_name(name) && !last.chars().all(|c| c.is_ascii_digit()) {
            true => Ok(Self {
                host: host.to_owned(),
                port,
            }),
            false => Err(()),
        }
    }
}

/// Whether a text without a dot at its end is a host name: labels of letters, digits, `-` and `_` (RFC 1123, section 2.1,
/// and underscores, which Compose puts in names).
pub(crate) fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        (1..=63).contains(&label.len()) && label.chars().all(is_part) && !label.starts_with('-')
    };
    name.len() <= MAX_HOST && name.split('.').all(label)
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Looks up names, at most [`MAX_LOOKUPS`] at once.
#[derive(Debug)]
pub(crate) struct Resolver {
    lookups: Arc<Semaphore>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self {
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
        }
    }
}

impl Resolver {
    /// The addresses of a name, in the system's order.
    pub(crate) async fn look_up(&self, name: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        let permit = Arc::clone(&self.lookups)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        // Detached: the lookup goes on after a timeout, and must hold its permit until it ends.
        let lookup = tokio::spawn(async move {
            let found = lookup_host((name, port))
                .await
                .map(|found| found.take(MAX_ADDRESSES).collect());
            drop(permit);
            found
        });
        lookup.await.map_err(io::Error::other)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_told_from_misspelt_addresses() {
        for text in [
            "localhost:80",
            "db.example.com:5432",
            "my_service-1:0",
            "a1.b2:65535",
            "host.:1",
        ] {
            let host: HostPort = text.parse().unwrap_or_else(|()| panic!("{text}"));
            assert_eq!(host.to_string(), text);
        }
        let long = format!("{}:80", "a.".repeat(127) + "a");
        for text in [
            "nonsense",
            "host",
            "host:",
            "host:65536",
            ":80",
            "256.1.1.1:80",
            "1.2.3:80",
            "a..b:80",
            "-a:80",
            "a b:80",
            "::1:80",
            "[::1]:80",
            "h\u{e9}:80",
            &long,
        ] {
            assert!(text.parse::<HostPort>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_name_is_resolved_to_ipv4_before_ipv6() {
        let found = "localhost:80"
            .parse::<HostPort>()
            .unwrap()
            .resolve()
            .await
            .unwrap();
        assert!(found.is_ipv4() && found.port() == 80, "{found}");
        // RFC 6761, 6.4: names under `invalid` never resolve.
        let error = "no.such.invalid:80".parse::<HostPort>().unwrap().resolve().await;
        assert!(error.unwrap_err().to_string().starts_with("no.such.invalid "));
    }
}
