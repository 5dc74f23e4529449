//! The client of the sidecar's HTTP controller.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::AUTHORIZATION;
use hyper::{Method, Response, StatusCode};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::error::{Error, seconds};
use super::{Registered, Registration, Token, Withdrawn};
use crate::client;

const RESOURCE: &str = "/api/v1/module/smart-node-delegate";
/// Timeout for one request to the sidecar.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// Timeout for a deregistration. It is part of the time that the sidecar gives its program to stop.
pub const DEREGISTRATION_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause after the first attempt. It doubles with every attempt, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The sidecar's default weight.
const DEFAULT_WEIGHT: u32 = 10;

/// The fields of the sidecar's response that are used here.
#[derive(Deserialize)]
struct Held {
    #[serde(rename = "exposedPort")]
    port: u16,
    weight: u32,
    status: Status,
}

/// Whether an instance is announced to the mesh.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Up,
    Down,
}

/// A sidecar's HTTP controller, given as a URL with an IP address, and the token for it, if it requires one.
#[derive(Debug, Clone)]
pub struct Sidecar {
    address: SocketAddr,
    token: Option<Token>,
}

impl Default for Sidecar {
    fn default() -> Self {
        Sidecar::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 18080)))
    }
}

impl FromStr for Sidecar {
    type Err = &'static str;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        url.strip_prefix("http://")
            .map(|rest| rest.strip_suffix('/').unwrap_or(rest))
            .and_then(|address| address.parse().ok())
            .map(Sidecar::at)
            .ok_or("expected http://ADDRESS:PORT with an IP address, such as http://127.0.0.1:18080")
    }
}

impl fmt::Display for Sidecar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.address)
    }
}

impl Sidecar {
    fn at(address: SocketAddr) -> Self {
        Sidecar { address, token: None }
    }

    /// Sends `token` with every request.
    #[must_use]
    pub fn with_token(self, token: Option<Token>) -> Self {
        Sidecar { token, ..self }
    }

    /// Creates the registration, or finds an existing one, and returns its port. Retries transient failures until
    /// `timeout`.
    ///
    /// # Errors
    /// [`Error::GaveUp`] at the timeout; permanent failures at once.
    pub async fn register(&self, wanted: &Registration, timeout: Duration) -> Result<Registered, Error> {
        let deadline = Instant::now() + timeout;
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.try_register(wanted).await {
                Err(error) if error.is_transient() => error,
                done => return done,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::GaveUp {
                    sidecar: self.clone(),
                    timeout,
                    source: Box::new(error),
                });
            }
            if pause == FIRST_PAUSE {
                tracing::info!(
                    "not registered at {self} yet: {error}; retrying for {} more",
                    seconds(timeout)
                );
            }
            sleep(pause.min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn try_register(&self, wanted: &Registration) -> Result<Registered, Error> {
        if let Some(held) = self.find(wanted).await? {
            return Ok(Registered {
                port: held.port,
                fresh: false,
            });
        }
        self.add(wanted).await?;
        let held = self
            .find(wanted)
            .await?
            .ok_or_else(|| Error::Lost(wanted.name.clone()))?;
        Ok(Registered {
            port: held.port,
            fresh: true,
        })
    }

    /// Replaces an existing registration if its weight differs, for a program that was restarted with another weight.
    /// The caller must be listening on its `port`, which proves that no other program uses the registration.
    ///
    /// # Errors
    /// One of the requests failed. There are no retries.
    pub async fn renew(&self, wanted: &Registration, port: u16) -> Result<(), Error> {
        match self.find(wanted).await? {
            Some(held) if held.weight == wanted.weight.unwrap_or(DEFAULT_WEIGHT) => return Ok(()),
            Some(_) => within(DEREGISTRATION_TIMEOUT, self.remove(wanted)).await?,
            None => {}
        }
        let wanted = Registration {
            port: Some(port),
            ..wanted.clone()
        };
        self.add(&wanted).await
    }

    /// Deregisters, within [`DEREGISTRATION_TIMEOUT`]. It is not an error if the registration does not exist.
    ///
    /// # Errors
    /// The registration still exists, or may exist. There are no retries.
    pub async fn deregister(&self, registration: &Registration) -> Result<Withdrawn, Error> {
        let deregistration = async {
            let withdrawn = match self.find(registration).await {
                Ok(Some(held)) if held.status == Status::Down => Withdrawn::Before,
                _ => Withdrawn::Now,
            };
            self.remove(registration).await?;
            Ok(withdrawn)
        };
        within(DEREGISTRATION_TIMEOUT, deregistration).await
    }

    async fn remove(&self, registration: &Registration) -> Result<(), Error> {
        let answer = self
            .send(Method::DELETE, &path(registration), Bytes::new())
            .await?;
        match answer.status() {
            status if status.is_success() || status == StatusCode::NOT_FOUND => Ok(()),
            // The sidecar responds with this status to an unknown name, but also to other errors.
            StatusCode::BAD_REQUEST if self.find(registration).await?.is_none() => Ok(()),
            _ => Err(Error::refused("deregister", registration, &answer)),
        }
    }

    async fn find(&self, registration: &Registration) -> Result<Option<Held>, Error> {
        let answer = self.send(Method::GET, &path(registration), Bytes::new()).await?;
        match answer.status() {
            StatusCode::OK => {
                serde_json::from_slice(answer.body())
                    .map(Some)
                    .map_err(|source| Error::Malformed {
                        name: registration.name.clone(),
                        source,
                    })
            }
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(Error::refused("look up", registration, &answer)),
        }
    }

    async fn add(&self, registration: &Registration) -> Result<(), Error> {
        let body = serde_json::to_vec(registration).map_err(|source| Error::Malformed {
            name: registration.name.clone(),
            source,
        })?;
        let answer = self.send(Method::POST, RESOURCE, body.into()).await?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            _ => Err(Error::refused("register", registration, &answer)),
        }
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Bytes>, Error> {
        let exchange = async {
            let stream = TcpStream::connect(self.address).await.map_err(Error::Connect)?;
            let mut request = client::request(method, path, &self.address.to_string(), body)?;
            if let Some(token) = &self.token {
                request.headers_mut().insert(AUTHORIZATION, token.header());
            }
            Ok(client::exchange(stream, request).await?)
        };
        within(REQUEST_TIMEOUT, exchange).await
    }
}

fn path(registration: &Registration) -> String {
    format!("{RESOURCE}/{}", registration.name)
}

async fn within<T>(limit: Duration, step: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(limit, step).await.unwrap_or(Err(Error::Timeout(limit)))
}
