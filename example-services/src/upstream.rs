//! Fetches a service's response through the sidecar: on a new connection each time, because its SOCKS5 server and its TCP load
//! balancer balance connections; on a kept one through the load balancer that balances requests.

use std::fmt;
use std::future::IntoFuture;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use hyper::{Method, Response, StatusCode};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_socks::Error as Socks5Error;
use tokio_socks::tcp::Socks5Stream;

use crate::client;
use crate::kept::{self, Kept};
use crate::name::Name;

/// Timeout for a fetch: more than the 4 s that a sidecar takes for all its attempts to connect, and less than the 5 s that
/// it gives its program to stop.
pub const TIMEOUT: Duration = Duration::from_millis(4_500);
/// The domain of the services: service NAME is requested as NAME.DOMAIN:PORT.
const DOMAIN: &str = "my.service.com";
const PORT: u16 = 80;

/// The field by which a sidecar marks the answers that are its own and no instance's. Its value says why.
const SIDECAR_ERROR: &str = "x-sidecar-error";

/// A load balancer of the sidecar, with the service that it balances.
#[derive(Debug, Clone)]
pub struct LoadBalancer {
    /// The first label of the service's domain name.
    pub service: Name,
    /// Where it listens.
    pub address: SocketAddr,
}

impl FromStr for LoadBalancer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, at) = text
            .split_once('=')
            .ok_or("expected NAME=ADDRESS, such as a=127.0.0.1:8081")?;
        Ok(Self {
            service: name.parse().map_err(|error| format!("`{name}`: {error}"))?,
            address: address(at).map_err(|error| format!("`{at}`: {error}"))?,
        })
    }
}

/// A service that can be fetched.
#[derive(Debug)]
pub struct Backend {
    /// The first label of its domain name.
    pub name: Name,
    /// The sidecar's load balancer of connections to it.
    pub lb: SocketAddr,
    /// That of HTTP requests, if there is one.
    pub http: Option<SocketAddr>,
    kept: Kept,
}

impl Backend {
    /// The service of these load balancers: one of connections, and one of HTTP requests if there is one.
    #[must_use]
    pub fn new(lb: LoadBalancer, http: Option<SocketAddr>) -> Self {
        Self {
            name: lb.service,
            lb: lb.address,
            http,
            kept: Kept::default(),
        }
    }
}

/// Parses an address of a command line.
///
/// # Errors
/// The text is not an IP address and a port.
pub fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "expected an IP address and a port, such as 127.0.0.1:8081")
}

/// The sidecar's server through which a service is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Through the sidecar's SOCKS5 server, by the service's domain name.
    Socks5,
    /// Through the sidecar's load balancer of connections.
    Lb,
    /// Through the sidecar's load balancer of HTTP requests.
    Http,
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Via::Socks5 => "socks5",
            Via::Lb => "lb",
            Via::Http => "http",
        })
    }
}

/// Why a service's response could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The sidecar cannot be connected to.
    #[error("cannot connect to the sidecar's {via} at {address}")]
    Connect {
        /// The sidecar's server.
        via: Via,
        /// Its address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The sidecar's SOCKS5 server did not connect to the service.
    #[error("{}", socks5_message(.0))]
    Socks5(Socks5Error),
    /// The sidecar answered instead of an instance.
    #[error("the sidecar answered: {cause}")]
    Sidecar {
        /// The status of its answer.
        status: StatusCode,
        /// Its word for the reason.
        cause: String,
    },
    /// The sidecar has no such load balancer.
    #[error("there is no load balancer of HTTP requests to it (--http-lb)")]
    NoHttp,
    /// The connection to the service broke.
    #[error(transparent)]
    Exchange(#[from] client::Error),
    /// The fetch took too long.
    #[error("gave up after {} s, waiting for {awaited}", timeout.as_secs_f64())]
    Timeout {
        /// The timeout of the whole fetch.
        timeout: Duration,
        /// The step that did not complete.
        awaited: &'static str,
    },
}

impl Error {
    /// The status for the frontend's client: 503 if no instance is available, 504 for a timeout, that of the sidecar if it
    /// answered, otherwise 502.
    pub fn status(&self) -> StatusCode {
        match self {
            Error::Socks5(Socks5Error::NetworkUnreachable | Socks5Error::HostUnreachable) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Error::Socks5(Socks5Error::TtlExpired) | Error::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Error::Sidecar { status, .. } => *status,
            Error::NoHttp => StatusCode::BAD_REQUEST,
            Error::Connect { .. } | Error::Socks5(_) | Error::Exchange(_) => StatusCode::BAD_GATEWAY,
        }
    }
}

/// Describes a failed handshake. Replies have their names and codes (RFC 1928 section 6).
fn socks5_message(error: &Socks5Error) -> String {
    let reply = match error {
        Socks5Error::GeneralSocksServerFailure => "general failure (0x01)",
        Socks5Error::ConnectionNotAllowedByRuleset => "connection not allowed by its rules (0x02)",
        Socks5Error::NetworkUnreachable => "network unreachable (0x03)",
        Socks5Error::HostUnreachable => "host unreachable (0x04)",
        Socks5Error::ConnectionRefused => "connection refused (0x05)",
        Socks5Error::TtlExpired => "time to live expired (0x06)",
        Socks5Error::CommandNotSupported => "command not supported (0x07)",
        Socks5Error::AddressTypeNotSupported => "address type not supported (0x08)",
        Socks5Error::UnknownAuthMethod => "an unassigned code",
        Socks5Error::Io(error) => return format!("the connection to the socks5 server broke: {error}"),
        Socks5Error::InvalidResponseVersion => {
            return "not a socks5 server: its answer does not begin with 0x05".to_owned();
        }
        Socks5Error::AuthorizationRequired | Socks5Error::NoAcceptableAuthMethods => {
            return "the socks5 server asks for authentication".to_owned();
        }
        other => return format!("the socks5 handshake failed: {other}"),
    };
    format!("the socks5 server answered: {reply}")
}

/// Fetches `/` from an instance of the service, within `timeout`.
///
/// # Errors
/// The sidecar or the instance refused, closed the connection or took too long.
pub(crate) async fn fetch(
    backend: &Backend,
    via: Via,
    socks5: SocketAddr,
    timeout: Duration,
) -> Result<Response<Bytes>, Error> {
    let deadline = Deadline {
        at: Instant::now() + timeout,
        timeout,
    };
    let host = format!("{}.{DOMAIN}", backend.name);
    let request = client::request(Method::GET, "/", &host, Bytes::new())?;
    let address = match via {
        Via::Socks5 => socks5,
        Via::Lb => backend.lb,
        Via::Http => {
            let address = backend.http.ok_or(Error::NoHttp)?;
            let sending = backend.kept.send(address, request);
            let sent = deadline.bound("the sidecar's answer", sending).await?;
            return by_instance(sent.map_err(|error| match error {
                kept::Error::Connect(source) => Error::Connect { via, address, source },
                kept::Error::Exchange(error) => Error::Exchange(error),
            })?);
        }
    };
    let connecting = TcpStream::connect(address);
    let connected = deadline
        .bound("the connection to the sidecar", connecting)
        .await?;
    let mut stream = connected.map_err(|source| Error::Connect { via, address, source })?;
    if via == Via::Socks5 {
        let handshake = Socks5Stream::connect_with_socket(stream, (host.as_str(), PORT));
        let connected = deadline.bound("the sidecar's socks5 reply", handshake).await?;
        stream = connected.map_err(Error::Socks5)?.into_inner();
    }
    Ok(deadline
        .bound("the service's answer", client::exchange(stream, request))
        .await??)
}

/// The answer, if an instance gave it.
fn by_instance(answer: Response<Bytes>) -> Result<Response<Bytes>, Error> {
    match answer.headers().get(SIDECAR_ERROR) {
        Some(cause) => Err(Error::Sidecar {
            status: answer.status(),
            cause: String::from_utf8_lossy(cause.as_bytes()).into_owned(),
        }),
        None => Ok(answer),
    }
}

/// A timeout shared by several steps.
struct Deadline {
    at: Instant,
    timeout: Duration,
}

impl Deadline {
    async fn bound<F: IntoFuture>(&self, awaited: &'static str, step: F) -> Result<F::Output, Error> {
        timeout_at(self.at, step).await.map_err(|_| Error::Timeout {
            timeout: self.timeout,
            awaited,
        })
    }
}
