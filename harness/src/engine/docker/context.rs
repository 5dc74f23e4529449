//! Finds the engine as the docker program finds it: DOCKER_HOST, DOCKER_CONTEXT, or the current context.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::super::EngineError;
use super::Docker;

/// Timeout for the docker program to name its context.
const LIMIT: Duration = Duration::from_secs(30);

impl Docker {
    /// Connects to the engine that the docker program uses. Without that program, to that of [`Docker::connect`].
    ///
    /// # Errors
    /// No engine answers, or the context's engine is reached otherwise than by a socket of this machine.
    pub async fn connect_as_cli() -> Result<Self, EngineError> {
        if std::env::var_os("DOCKER_HOST").is_some_and(|host| !host.is_empty()) {
            return Self::connect().await;
        }
        match context().await {
            None => Self::connect().await,
            Some((name, host)) => match host.strip_prefix("unix://") {
                // The default context's socket is the default, of which there are several.
                _ if name == "default" => Self::connect().await,
                Some(path) => Self::connect_to(path.to_owned()).await,
                None => Err(EngineError::NoEngine {
                    socket: host,
                    reason: format!(
                        "the docker context {name} is used, and only engines at a unix socket are supported; choose \
                         another with DOCKER_CONTEXT or DOCKER_HOST=unix:///path/to/docker.sock"
                    ),
                }),
            },
        }
    }
}

/// The name and the engine's address of the current context, if the docker program tells it.
async fn context() -> Option<(String, String)> {
    let mut command = Command::new("docker");
    command
        .args([
            "context",
            "inspect",
            "--format",
            "{{.Name}} {{.Endpoints.docker.Host}}",
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output()).await.ok()?.ok()?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let (name, host) = printed.trim().split_once(' ')?;
    output
        .status
        .success()
        .then(|| (name.to_owned(), host.to_owned()))
}
