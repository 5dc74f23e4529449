//! Fetches a service's answer through the sidecar, a new connection each time.

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

use crate::name::Name;
use crate::{client, socks5};

/// How long a fetch may take in all.
pub const LIMIT: Duration = Duration::from_secs(5);
/// What a service's name gets behind it to be asked for, and the port that goes with it.
const DOMAIN: &str = "my.service.com";
const PORT: u16 = 80;

/// A service that can be fetched.
#[derive(Debug, Clone)]
pub struct Backend {
    /// Its name, the first label of its domain name.
    pub name: Name,
    /// The sidecar's load balancer for it.
    pub lb: SocketAddr,
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, lb) = text
            .split_once('=')
            .ok_or("expected NAME=ADDRESS, such as a=127.0.0.1:8081")?;
        let lb = address(lb).map_err(|error| format!("`{lb}`: {error}"))?;
        Ok(Backend {
            name: name.parse().map_err(|error| format!("`{name}`: {error}"))?,
            lb,
        })
    }
}

/// An address as it is given on a command line.
///
/// # Errors
/// It is none.
pub fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "expected an IP address and a port, such as 127.0.0.1:8081")
}

/// The way to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Through the sidecar's SOCKS5 server, by the service's domain name.
    Socks5,
    /// Through the sidecar's load balancer.
    Lb,
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Via::Socks5 => "socks5",
            Via::Lb => "lb",
        })
    }
}

/// Why a service's answer could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The sidecar cannot be connected to.
    #[error("cannot connect to the sidecar's {via} at {address}")]
    Connect {
        /// Which of its doors.
        via: Via,
        /// Where it was looked for.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The sidecar gave no connection to the service.
    #[error(transparent)]
    Socks5(#[from] socks5::Error),
    /// The exchange with the service broke.
    #[error(transparent)]
    Exchange(#[from] client::Error),
    /// The time ran out.
    #[error("gave up after {} s, waiting for {awaited}", limit.as_secs_f64())]
    Timeout {
        /// The time that there was.
        limit: Duration,
        /// What had not come by then.
        awaited: &'static str,
    },
}

impl Error {
    /// The status that says to the frontend's client whose failure it is.
    pub fn status(&self) -> StatusCode {
        use socks5::Reply;
        match self {
            // No instance of the service is to be had now.
            Error::Socks5(socks5::Error::Refused(Reply::NetworkUnreachable | Reply::HostUnreachable)) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Error::Socks5(socks5::Error::Refused(Reply::TtlExpired)) | Error::Timeout { .. } => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Error::Connect { .. } | Error::Socks5(_) | Error::Exchange(_) => StatusCode::BAD_GATEWAY,
        }
    }
}

/// Fetches `/` from an instance of the service, within `limit`.
///
/// # Errors
/// The sidecar or the instance refused, broke off or took too long.
pub(crate) async fn fetch(
    backend: &Backend,
    via: Via,
    socks5: SocketAddr,
    limit: Duration,
) -> Result<Response<Bytes>, Error> {
    let deadline = Deadline {
        at: Instant::now() + limit,
        limit,
    };
    let host = format!("{}.{DOMAIN}", backend.name);
    let address = match via {
        Via::Socks5 => socks5,
        Via::Lb => backend.lb,
    };
    let connecting = TcpStream::connect(address);
    let connected = deadline
        .bound("the connection to the sidecar", connecting)
        .await?;
    let mut stream = connected.map_err(|source| Error::Connect { via, address, source })?;
    if via == Via::Socks5 {
        let shaking_hands = socks5::connect(&mut stream, &host, PORT);
        deadline
            .bound("the sidecar's socks5 reply", shaking_hands)
            .await??;
    }
    let request = client::request(Method::GET, "/", &host, Bytes::new())?;
    Ok(deadline
        .bound("the service's answer", client::exchange(stream, request))
        .await??)
}

/// One limit over several steps.
struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    async fn bound<F: IntoFuture>(&self, awaited: &'static str, step: F) -> Result<F::Output, Error> {
        timeout_at(self.at, step).await.map_err(|_| Error::Timeout {
            limit: self.limit,
            awaited,
        })
    }
}
