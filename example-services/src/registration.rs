//! Registration of a service at its sidecar: the client of the sidecar's `smart-node-delegate` resource
//! (control plane: registering a service).

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use hyper::{Method, Response, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::client;
use crate::name::Name;

const RESOURCE: &str = "/api/v1/module/smart-node-delegate";
/// How long one request to the sidecar may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);
/// The pause between attempts grows from the first to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// What the sidecar takes where a registration names no weight.
const DEFAULT_WEIGHT: u32 = 10;

/// Why a service is not registered, or not deregistered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer came in all the time there was.
    #[error("the sidecar at {sidecar} gave no answer in {}: is it running there? (--sidecar says where)", seconds(*.limit))]
    GaveUp {
        /// Where it was looked for.
        sidecar: Sidecar,
        /// How long.
        limit: Duration,
        /// The last attempt's failure.
        source: Box<Error>,
    },
    /// The sidecar cannot be connected to.
    #[error("cannot connect to the sidecar")]
    Connect(#[source] std::io::Error),
    /// One request took too long.
    #[error("no answer to a request in {}", seconds(REQUEST_LIMIT))]
    Timeout,
    /// The exchange broke.
    #[error(transparent)]
    Exchange(#[from] client::Error),
    /// The sidecar does not do what it is asked for: a mistake that repeating does not mend.
    #[error("the sidecar refused to {action} {name} ({status}): {message}")]
    Refused {
        /// What it was asked to do.
        action: &'static str,
        /// The registration's name.
        name: String,
        /// Its answer's status.
        status: StatusCode,
        /// Its own words.
        message: String,
    },
    /// The registration that was made a moment ago is not there.
    #[error("the sidecar does not know {0}, which it registered a moment ago")]
    Lost(String),
    /// The answer is not the JSON that the protocol says.
    #[error("the sidecar's answer about {name} is not a registration")]
    Malformed {
        /// The registration's name.
        name: String,
        /// Where it differs.
        source: serde_json::Error,
    },
}

impl Error {
    /// Whether the next attempt may fare better.
    fn is_transient(&self) -> bool {
        matches!(
            self,
            Error::Connect(_) | Error::Timeout | Error::Exchange(_) | Error::Lost(_)
        )
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

/// What a service registers, as the sidecar's JSON says it.
#[derive(Debug, Clone, Serialize)]
pub struct Registration {
    name: String,
    service: String,
    zone: String,
    nic: String,
    #[serde(rename = "exposedPort", skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// The instance's share of connections; the sidecar's default where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}

impl Registration {
    /// Service `name` of the example, as `my-service-NAME` in `zone`, on the address of interface `nic`.
    pub fn new(name: &Name, zone: &Name, nic: &str, weight: Option<u32>) -> Self {
        let service = format!("my-service-{name}");
        Registration {
            name: format!("{service}_{zone}"),
            service,
            zone: zone.to_string(),
            nic: nic.to_owned(),
            port: None,
            weight,
        }
    }

    fn path(&self) -> String {
        format!("{RESOURCE}/{}", self.name)
    }
}

impl fmt::Display for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A registration that the sidecar holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    /// The port that the sidecar allocated.
    pub port: u16,
    /// Whether this program made it; else it was there before.
    pub fresh: bool,
}

/// The part of the sidecar's answer that is used here.
#[derive(Deserialize)]
struct Held {
    #[serde(rename = "exposedPort")]
    port: u16,
    weight: u32,
}

/// A sidecar's HTTP controller, written as a URL with an IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sidecar(SocketAddr);

impl Default for Sidecar {
    fn default() -> Self {
        Sidecar(SocketAddr::from((Ipv4Addr::LOCALHOST, 18080)))
    }
}

impl FromStr for Sidecar {
    type Err = &'static str;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        url.strip_prefix("http://")
            .map(|rest| rest.strip_suffix('/').unwrap_or(rest))
            .and_then(|address| address.parse().ok())
            .map(Sidecar)
            .ok_or("expected http://ADDRESS:PORT with an IP address, such as http://127.0.0.1:18080")
    }
}

impl fmt::Display for Sidecar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

impl Sidecar {
    /// Registers, or finds the registration that is there, and learns the port. While the sidecar does not
    /// answer it is asked again, until `limit` is over.
    ///
    /// # Errors
    /// [`Error::GaveUp`] at the limit; at once whatever a further attempt would not change.
    pub async fn register(&self, wanted: &Registration, limit: Duration) -> Result<Registered, Error> {
        let deadline = Instant::now() + limit;
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.try_register(wanted).await {
                Err(error) if error.is_transient() => error,
                done => return done,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::GaveUp {
                    sidecar: *self,
                    limit,
                    source: Box::new(error),
                });
            }
            if pause == FIRST_PAUSE {
                tracing::info!(
                    "the sidecar at {self} does not answer yet; asking for {} more",
                    seconds(limit)
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

    /// Makes a registration that was there before say what is wanted now, for a program that was started
    /// again with another weight. It keeps its port, on which the caller must be listening: that shows that
    /// the registration is nobody else's.
    ///
    /// # Errors
    /// Any of the requests failed; none is repeated.
    pub async fn renew(&self, wanted: &Registration, port: u16) -> Result<(), Error> {
        match self.find(wanted).await? {
            Some(held) if held.weight == wanted.weight.unwrap_or(DEFAULT_WEIGHT) => Ok(()),
            _ => {
                self.deregister(wanted).await?;
                self.add(&Registration {
                    port: Some(port),
                    ..wanted.clone()
                })
                .await
            }
        }
    }

    /// Takes the registration back. One that is not there is as good.
    ///
    /// # Errors
    /// The request failed; it is not repeated.
    pub async fn deregister(&self, registration: &Registration) -> Result<(), Error> {
        let answer = self
            .send(Method::DELETE, &registration.path(), Bytes::new())
            .await?;
        match answer.status() {
            status if status.is_success() || status == StatusCode::NOT_FOUND => Ok(()),
            _ => Err(refused("deregister", registration, &answer)),
        }
    }

    async fn find(&self, registration: &Registration) -> Result<Option<Held>, Error> {
        let answer = self.send(Method::GET, &registration.path(), Bytes::new()).await?;
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
            _ => Err(refused("look up", registration, &answer)),
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
            _ => Err(refused("register", registration, &answer)),
        }
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Bytes>, Error> {
        let exchange = async {
            let stream = TcpStream::connect(self.0).await.map_err(Error::Connect)?;
            let request = client::request(method, path, &self.0.to_string(), body)?;
            Ok(client::exchange(stream, request).await?)
        };
        timeout(REQUEST_LIMIT, exchange)
            .await
            .unwrap_or(Err(Error::Timeout))
    }
}

fn refused(action: &'static str, registration: &Registration, answer: &Response<Bytes>) -> Error {
    /// The sidecar's errors carry their message in JSON.
    #[derive(Deserialize)]
    struct Told {
        message: String,
    }
    let message = match serde_json::from_slice(answer.body()) {
        Ok(Told { message }) => message,
        Err(_) => String::from_utf8_lossy(answer.body())
            .trim()
            .chars()
            .take(500)
            .collect(),
    };
    Error::Refused {
        action,
        name: registration.name.clone(),
        status: answer.status(),
        message,
    }
}
