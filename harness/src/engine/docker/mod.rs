//! The Docker Engine, through its HTTP API. [`super::Engine`] documents the operations. No other module uses bollard.
//!
//! Particularities:
//! * Dropping a future of bollard drops its request, but the engine may still execute it. Requests that create or start
//!   something therefore run to completion in a task (`Docker::finish`), so that nothing is created after the clean-up.
//! * A container with a lifeline stops when this process ends, see `lifeline.rs`.
//! * Networks are cut by helper containers, see `netcut.rs`.
//! * Errors are distinguished by status code. A taken host port has none and is recognised by the engine's message.

mod container;
mod context;
mod creation;
mod events;
mod helper;
mod image;
mod inspect;
mod life;
mod lifeline;
mod logs;
mod netcut;
mod network;

use std::path::{Path, PathBuf};

use bollard::errors::Error as ApiError;
use tokio::task::JoinError;
use tokio_util::task::TaskTracker;

use super::EngineError;
pub use helper::HelperMount;
pub use inspect::{Inspected, InspectedNetwork};
use lifeline::Lifelines;

/// Timeout for the head of the engine's response, in seconds.
const TIMEOUT_SECONDS: u64 = 60;

/// A connection to the Docker Engine; cheap to clone.
#[derive(Debug, Clone)]
pub struct Docker {
    api: bollard::Docker,
    socket: String,
    /// Tasks of requests that create or start something.
    creating: TaskTracker,
    lifelines: Lifelines,
}

impl Docker {
    /// Connects to the engine at `DOCKER_HOST`, otherwise at the first default socket that exists, and negotiates the
    /// version of the API.
    ///
    /// # Errors
    /// [`EngineError::NoSocket`], [`EngineError::NoEngine`] or [`EngineError::Denied`].
    pub async fn connect() -> Result<Self, EngineError> {
        Self::connect_to(socket()?).await
    }

    async fn connect_to(socket: String) -> Result<Self, EngineError> {
        let no_engine = |reason: String| EngineError::NoEngine {
            socket: socket.clone(),
            reason,
        };
        if let Ok(false) = Path::new(&socket).try_exists() {
            return Err(no_engine("there is no such socket".to_owned()));
        }
        let api = bollard::Docker::connect_with_unix(&socket, TIMEOUT_SECONDS, bollard::API_DEFAULT_VERSION)
            .map_err(|error| no_engine(root_cause(&error)))?;
        let api = api.negotiate_version().await.map_err(|error| {
            if is_denied(&error) {
                EngineError::Denied {
                    socket: socket.clone(),
                }
            } else {
                no_engine(root_cause(&error))
            }
        })?;
        Ok(Self {
            api,
            socket,
            creating: TaskTracker::new(),
            lifelines: Lifelines::default(),
        })
    }

    /// The path of the engine's socket.
    pub fn socket(&self) -> &str {
        &self.socket
    }

    /// Waits for requests that create something, and for helpers, whose callers were dropped.
    pub async fn settled(&self) {
        self.creating.close();
        self.creating.wait().await;
        self.creating.reopen();
    }

    /// Runs a request to completion even if the caller is dropped.
    async fn finish<T: Send + 'static>(
        &self,
        request: impl Future<Output = Result<T, ApiError>> + Send + 'static,
    ) -> Result<T, ApiError> {
        let failed = |error: JoinError| ApiError::IOError {
            err: std::io::Error::other(error),
        };
        self.creating
            .spawn(request)
            .await
            .unwrap_or_else(|error| Err(failed(error)))
    }
}

/// The path of the engine's socket. The engine must be local, because the harness connects to ports on this machine.
fn socket() -> Result<String, EngineError> {
    if let Ok(host) = std::env::var("DOCKER_HOST")
        && !host.is_empty()
    {
        return match host.strip_prefix("unix://") {
            Some(path) => Ok(path.to_owned()),
            None => Err(EngineError::NoEngine {
                socket: host,
                reason:
                    "DOCKER_HOST: expected unix:///path/to/docker.sock, because the mesh is reached through \
                         ports on this machine"
                        .to_owned(),
            }),
        };
    }
    let usual = "/var/run/docker.sock".to_owned();
    let mut candidates = vec![PathBuf::from(&usual)];
    candidates.extend(std::env::var_os("XDG_RUNTIME_DIR").map(|dir| PathBuf::from(dir).join("docker.sock")));
    candidates
        .extend(std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker/run/docker.sock")));
    match candidates.iter().find(|path| path.exists()) {
        Some(path) => Ok(path.to_string_lossy().into_owned()),
        None => Err(EngineError::NoSocket { socket: usual }),
    }
}

/// The innermost error: bollard's outer messages are less specific.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

fn is_denied(error: &ApiError) -> bool {
    let mut inner: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = inner {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if kind == Some(std::io::ErrorKind::PermissionDenied) {
            return true;
        }
        inner = error.source();
    }
    false
}

/// Adds the failed operation to the engine's error.
fn failed(what: impl Into<String>) -> impl FnOnce(ApiError) -> EngineError {
    move |error| {
        let what = what.into();
        match error {
            ApiError::DockerResponseServerError {
                status_code: 404,
                message,
            } => EngineError::Missing {
                what,
                reason: message,
            },
            ApiError::DockerResponseServerError { message, .. } => EngineError::Other {
                what,
                reason: message,
            },
            other => EngineError::Other {
                what,
                reason: root_cause(&other),
            },
        }
    }
}

fn filters(pairs: &[(&str, &str)]) -> std::collections::HashMap<String, Vec<String>> {
    let mut filters = std::collections::HashMap::<String, Vec<String>>::new();
    for (kind, value) in pairs {
        filters
            .entry((*kind).to_owned())
            .or_default()
            .push((*value).to_owned());
    }
    filters
}
