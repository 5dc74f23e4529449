//! The Docker Engine, through its HTTP API. [`super::Engine`] documents the operations. No other module uses bollard.
//!
//! Particularities:
//! * Dropping a future of bollard drops its request, but the engine may still execute it. Requests that create or start
//!   something therefore run to completion in a task (`Docker::finish`), so that nothing is created after the clean-up.
//! * A container with a lifeline stops when this process ends, see `lifeline.rs`.
//! * Networks are cut by helper containers, see `netcut.rs`.
//! * The engine may run on another machine, see `context.rs`, `address.rs` and `dial.rs`, and this process in one of its
//!   containers, see `own_container.rs`.
//! * Errors are distinguished by status code. A taken host port has none and is recognised by the engine's message.

mod address;
mod connect;
mod container;
mod context;
mod creation;
mod dial;
mod events;
mod helper;
mod image;
mod inspect;
mod life;
mod lifeline;
mod logs;
mod netcut;
mod network;
mod own_container;

use std::sync::Arc;

use bollard::errors::Error as ApiError;
use tokio::process::Command;
use tokio::task::JoinError;
use tokio_util::task::TaskTracker;

use super::EngineError;
use address::Endpoint;
pub use address::Variables;
pub use helper::HelperMount;
pub use inspect::{Inspected, InspectedImage, InspectedNetwork};
use lifeline::Lifelines;

/// Timeout for the head of the engine's response, in seconds.
const TIMEOUT_SECONDS: u64 = 60;

/// A connection to the Docker Engine; cheap to clone.
#[derive(Debug, Clone)]
pub struct Docker {
    api: bollard::Docker,
    endpoint: Arc<Endpoint>,
    /// Tasks of requests that create or start something.
    creating: TaskTracker,
    lifelines: Lifelines,
    /// The container that this process runs in.
    own: Option<Arc<str>>,
}

impl Docker {
    /// The engine's address for messages.
    pub fn address(&self) -> String {
        self.endpoint.shown()
    }

    /// The host of the other machine that the engine runs on; `None` for this one.
    pub fn remote(&self) -> Option<&str> {
        self.endpoint.remote()
    }

    /// Whether the engine's machine is another one for programs that listen: it is, or this process runs in a container.
    pub fn listens_elsewhere(&self) -> bool {
        self.own.is_some() || self.remote().is_some()
    }

    /// The variables by which the docker program and Compose use the same engine.
    pub fn variables(&self) -> Variables {
        self.endpoint.variables()
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

/// The innermost error: bollard's outer messages are less specific.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// Gives a child process these variables.
fn set(command: &mut Command, variables: &Variables) {
    for (name, value) in variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
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
