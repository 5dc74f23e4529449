//! Checks by which host name a server is called.
//!
//! A web page can make its reader's browser send requests here under a name of the page's own domain, which its owner
//! points at this machine (DNS rebinding). The browser then lets the page read the answers. What no public DNS can
//! answer is safe: an IP address, `localhost`, a name of one label.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use hyper::header::HOST;
use hyper::{Request, StatusCode, Version};

use crate::resolve::is_host_name;

/// Which requests a server answers, by their header Host.
#[derive(Debug, Clone)]
pub enum HostCheck {
    /// Any, or none; only a repeated header is refused. For discovery, since exchanges of the original have no Host.
    Any,
    /// IP addresses, names of one label, and these names.
    Named(Arc<[HostName]>),
}

/// A host name in lower case, without a dot at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// There is none (RFC 9112, section 3.2).
    #[error("the header Host is missing; HTTP/1.1 requires it")]
    Missing,
    /// There is more than one (RFC 9112, section 3.2).
    #[error("the header Host is given more than once; expected one")]
    Repeated,
    /// It is neither a name nor an IP address, with or without a port.
    #[error("the host is not valid; expected NAME or NAME:PORT, ADDRESS or ADDRESS:PORT")]
    Invalid,
    /// It may be a name of somebody else's (RFC 9110, section 7.4).
    #[error(
        "{0} is not known as a name of this sidecar: use an IP address, or start it with --allow-host {0}"
    )]
    Unknown(String),
}

impl HostError {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Missing | Self::Repeated | Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Unknown(_) => StatusCode::MISDIRECTED_REQUEST,
        }
    }
}

impl Default for HostCheck {
    fn default() -> Self {
        Self::Named(Arc::default())
    }
}

impl HostCheck {
    /// Checks a request. The host of an absolute request target counts instead of the header's (RFC 9112, section
    /// 3.2.2).
    ///
    /// # Errors
    /// When it is not to be answered.
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), HostError> {
        let mut values = request.headers().get_all(HOST).iter();
        let value = values.next();
        if values.next().is_some() {
            return Err(HostError::Repeated);
        }
        let Self::Named(names) = self else {
            return Ok(());
        };
        let host = match (request.uri().authority(), value) {
            (Some(target), _) => target.as_str(),
            (None, Some(value)) => value.to_str().map_err(|_| HostError::Invalid)?,
            // No browser sends such requests; health checks of load balancers do.
            (None, None) if request.version() == Version::HTTP_10 => return Ok(()),
            (None, None) => return Err(HostError::Missing),
        };
        match Host::parse(host).ok_or(HostError::Invalid)? {
            Host::Address => Ok(()),
            Host::Name(name) if !name.0.contains('.') || names.contains(&name) => Ok(()),
            Host::Name(HostName(name)) => Err(HostError::Unknown(name)),
        }
    }
}

/// A host as requests name it (RFC 3986, section 3.2.2).
enum Host {
    Address,
    Name(HostName),
}

impl Host {
    /// Parses `host [":" port]`.
    fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            return (is_port && address.parse::<Ipv6Addr>().is_ok()).then_some(Self::Address);
        }
        let (host, port) = text.split_once(':').unwrap_or((text, ""));
        if !is_port(port) {
            return None;
        }
        if host.strip_suffix('.').unwrap_or(host).parse::<Ipv4Addr>().is_ok() {
            return Some(Self::Address);
        }
        host.parse().ok().map(Self::Name)
    }
}

/// Whether a text is a port; it may be empty (RFC 3986, section 3.2.3).
fn is_port(text: &str) -> bool {
    text.is_empty() || text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// A text that is not a host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a host name without a port, for instance mesh.example.com")]
pub struct NotHostName;

impl FromStr for HostName {
    type Err = NotHostName;

    fn from_str(text: &str) -> Result<Self, NotHostName> {
        let name = text.strip_suffix('.').unwrap_or(text);
        match is_host_name(name) {
            true => Ok(Self(name.to_ascii_lowercase())),
            false => Err(NotHostName),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

    use proptest::prelude::*;

    use super::*;

    fn hosts() -> HostCheck {
        HostCheck::Named([HostName::from_str("Mesh.Example.com").unwrap()].into())
    }

    fn request(uri: &str, version: Version, values: &[&str]) -> Request<()> {
        let mut request = Request::get(uri).version(version);
        for value in values {
            request = request.header(HOST, *value);
        }
        request.body(()).unwrap()
    }

    fn check(value: &str) -> Result<(), HostError> {
        hosts().check(&request("/", Version::HTTP_11, &[value]))
    }

    #[test]
    fn hosts_that_no_public_dns_can_answer_pass() {
        for value in [
            "127.0.0.1",
            "127.0.0.1:9090",
            "127.0.0.1.",
            "192.0.2.7",
            "[::1]",
            "[::1]:9090",
            "[::ffff:127.0.0.1]",
            "localhost",
            "LOCALHOST:9090",
            "localhost.",
            "localhost.:9090",
            "frontend",
            "my_service-2:80",
            "localhost:",
            "mesh.example.com",
            "MESH.example.COM.:9090",
        ] {
            assert_eq!(check(value), Ok(()), "{value}");
        }
    }

    #[test]
    fn other_names_are_refused() {
        for value in [
            "evil.example.com",
            "127.0.0.1.evil.com",
            "mesh.example.com.evil.com:9090",
            "x.mesh.example.com",
            "localhost.evil.com",
            "a.b.",
            "127.0.0.1.2",
        ] {
            let error = check(value).unwrap_err();
            assert_eq!(error.status(), StatusCode::MISDIRECTED_REQUEST, "{value}");
        }
    }

    #[test]
    fn what_is_no_host_is_a_bad_request() {
        for value in [
            "",
            ".",
            ":9090",
            "a..b",
            "evil.com..",
            "a b",
            "127.0.0.1, evil.com",
            "127.0.0.1@evil.com",
            "http://127.0.0.1",
            "::1",
            "[::1",
            "[127.0.0.1]",
            "[::1]evil.com",
            "localhost:65536",
            "localhost:+80",
            "localhost:80:80",
        ] {
            assert_eq!(check(value), Err(HostError::Invalid), "{value}");
        }
        let not_text = Request::get("/").header(HOST, &b"\xff"[..]).body(()).unwrap();
        assert_eq!(hosts().check(&not_text), Err(HostError::Invalid));
    }

    #[test]
    fn a_host_is_given_exactly_once() {
        let missing = request("/", Version::HTTP_11, &[]);
        assert_eq!(hosts().check(&missing), Err(HostError::Missing));
        assert_eq!(HostCheck::Any.check(&missing), Ok(()));
        assert_eq!(hosts().check(&request("/", Version::HTTP_10, &[])), Ok(()));
        let repeated = request("/", Version::HTTP_11, &["localhost", "localhost"]);
        for check in [hosts(), HostCheck::Any] {
            assert_eq!(check.check(&repeated), Err(HostError::Repeated));
        }
        let other = request("/", Version::HTTP_11, &["evil.com"]);
        assert_eq!(HostCheck::Any.check(&other), Ok(()));
    }

    #[test]
    fn the_host_of_an_absolute_target_counts() {
        let to = |uri, host| hosts().check(&request(uri, Version::HTTP_11, &[host]));
        let evil = HostError::Unknown("evil.com".to_owned());
        assert_eq!(to("http://evil.com/mesh", "localhost"), Err(evil));
        assert_eq!(to("http://127.0.0.1:9090/mesh", "evil.com"), Ok(()));
        assert_eq!(
            to("http://127.0.0.1@evil.com/", "localhost"),
            Err(HostError::Invalid)
        );
    }

    proptest! {
        /// A name of several labels passes only if it was allowed.
        #[test]
        fn a_name_of_several_labels_does_not_pass(name in "[a-z0-9_-]{1,20}(\\.[a-z_-][a-z0-9_-]{0,20}){1,4}\\.?(:[0-9]{1,4})?") {
            prop_assert!(check(&name).is_err());
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = Host::parse(&text);
        }
    }
}
