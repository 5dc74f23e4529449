//! Connects to the engine, and refuses what answers there but cannot run a mesh.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error as ApiError;
use bollard::models::SystemVersion;
use tokio_util::task::TaskTracker;

use super::super::EngineError;
use super::address::{Address, Endpoint};
use super::dial::Dialer;
use super::lifeline::Lifelines;
use super::{Docker, TIMEOUT_SECONDS, context, own_container};

/// Timeout for the engine's first answer.
const LIMIT: Duration = Duration::from_secs(30);
/// The oldest API that was tried, that of Docker 20.10.
const OLDEST: (u64, u64) = (1, 41);
const START: &str = "start Docker (for instance `sudo systemctl start docker`, or Docker Desktop), or choose another \
                     engine with DOCKER_HOST or DOCKER_CONTEXT";

impl Docker {
    /// Connects to the engine that the docker program uses, and negotiates the version of the API.
    ///
    /// # Errors
    /// [`EngineError::Settings`], [`EngineError::NoSocket`], [`EngineError::NoEngine`] or [`EngineError::Denied`].
    pub async fn connect() -> Result<Self, EngineError> {
        Self::connect_to(context::endpoint(|name| std::env::var(name).ok())?).await
    }

    pub(super) async fn connect_to(endpoint: Endpoint) -> Result<Self, EngineError> {
        let dialer = endpoint.dial().map(Dialer::new);
        let connecting = tokio::time::timeout(LIMIT, client(&endpoint, dialer.as_ref())).await;
        let problem = match connecting {
            Ok(Ok(api)) => {
                let own = own_container::find(&api).await.map(Arc::from);
                return Ok(Self {
                    api,
                    endpoint: Arc::new(endpoint),
                    creating: TaskTracker::new(),
                    lifelines: Lifelines::default(),
                    own,
                });
            }
            Ok(Err(problem)) => problem,
            Err(_) => Problem::silent(),
        };
        let said = match &dialer {
            Some(dialer) => dialer.said().await,
            None => None,
        };
        Err(problem.of(&endpoint, said))
    }
}

/// A client of the engine, which has answered.
async fn client(endpoint: &Endpoint, dialer: Option<&Dialer>) -> Result<bollard::Docker, Problem> {
    let version = bollard::API_DEFAULT_VERSION;
    let api = match (&endpoint.address, endpoint.tcp(), dialer) {
        (_, _, Some(dialer)) => dialer.client(TIMEOUT_SECONDS, version),
        (_, Some(address), None) => bollard::Docker::connect_with_http(&address, TIMEOUT_SECONDS, version),
        (Address::Unix(path), None, None) => {
            if let Ok(false) = Path::new(path).try_exists() {
                return Err(Problem::new("there is no such socket", START));
            }
            bollard::Docker::connect_with_unix(path, TIMEOUT_SECONDS, version)
        }
        (_, None, None) => return Err(Problem::new("its kind of address is unknown", START)),
    };
    let api = api.map_err(Problem::Api)?;
    usable(&api.version().await.map_err(Problem::Api)?)?;
    api.negotiate_version().await.map_err(Problem::Api)
}

/// Why there is no engine to use.
#[derive(Debug)]
enum Problem {
    /// The connection failed.
    Api(ApiError),
    /// Something else, with advice.
    Other(String, &'static str),
}

impl Problem {
    fn new(reason: impl Into<String>, advice: &'static str) -> Self {
        Self::Other(reason.into(), advice)
    }

    fn silent() -> Self {
        let reason = format!("it has not answered within {} s", LIMIT.as_secs());
        Self::new(
            reason,
            "see whether `docker version` answers; restart the engine, or choose another with DOCKER_HOST or \
             DOCKER_CONTEXT",
        )
    }

    /// `said` is what the program wrote that was to connect.
    fn of(self, endpoint: &Endpoint, said: Option<String>) -> EngineError {
        let (reason, advice) = match self {
            Self::Other(reason, advice) => (reason, advice.to_owned()),
            Self::Api(error) if endpoint.dial().is_none() && denied(&error) => {
                return EngineError::Denied {
                    socket: endpoint.shown(),
                };
            }
            Self::Api(ApiError::DockerResponseServerError { message, .. }) if message.contains("HTTPS") => (
                "it speaks TLS".to_owned(),
                "set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the directory of ca.pem, cert.pem and key.pem"
                    .to_owned(),
            ),
            Self::Api(error) => (super::root_cause(&error), START.to_owned()),
        };
        let dial = endpoint.dial();
        let reason = match (said, &dial) {
            (Some(said), Some(dial)) if said.starts_with(dial.program) => said,
            (Some(said), Some(dial)) => format!("{}: {said}", dial.program),
            _ => reason,
        };
        EngineError::NoEngine {
            address: endpoint.shown(),
            reason,
            advice: dial.map_or(advice, |dial| dial.advice),
        }
    }
}

/// Refuses other programs with this API, and an engine that is too old.
fn usable(version: &SystemVersion) -> Result<(), Problem> {
    let components = version.components.iter().flatten();
    if components
        .clone()
        .any(|component| component.name.starts_with("Podman"))
    {
        return Err(Problem::new(
            "Podman answers, which is not supported",
            "choose a Docker engine with DOCKER_HOST or DOCKER_CONTEXT",
        ));
    }
    let text = version.api_version.as_deref().unwrap_or_default();
    let number = text.split_once('.');
    let number = number.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    match number {
        Some(number) if number >= OLDEST => Ok(()),
        Some(_) => Err(Problem::new(
            format!("its API is {text}, and {}.{} is needed", OLDEST.0, OLDEST.1),
            "update the engine to Docker 20.10 or later",
        )),
        None => Err(Problem::new(
            format!("what answers is no Docker engine: its API is `{text}`"),
            START,
        )),
    }
}

fn denied(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut inner = Some(error);
    while let Some(error) = inner {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if kind == Some(io::ErrorKind::PermissionDenied) {
            return true;
        }
        inner = error.source();
    }
    false
}

#[cfg(test)]
mod tests;
