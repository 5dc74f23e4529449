//! Starts, stops, kills, pauses and removes containers.

use std::time::Duration;

use bollard::errors::Error as ApiError;
use bollard::models::ContainerState;
use bollard::query_parameters::{
    KillContainerOptions, RemoveContainerOptions, StopContainerOptions, WaitContainerOptions,
};
use futures_util::StreamExt;
use futures_util::future::join_all;

use super::super::EngineError;
use super::{Docker, failed};

impl Docker {
    pub(crate) async fn start(&self, id: &str, name: &str) -> Result<(), EngineError> {
        let (docker, owned) = (self.clone(), id.to_owned());
        match self
            .finish(async move { docker.attach_and_start(&owned).await })
            .await
        {
            Ok(()) => Ok(()),
            Err(ApiError::DockerResponseServerError { message, .. }) if is_port_taken(&message) => {
                Err(EngineError::PortTaken {
                    container: name.to_owned(),
                    reason: message,
                })
            }
            Err(error) => Err(failed(format!("starting container {name}"))(error)),
        }
    }

    async fn attach_and_start(&self, id: &str) -> Result<(), ApiError> {
        let container = self.api.inspect_container(id, None).await?;
        let lifeline = container.config.and_then(|config| config.open_stdin) == Some(true);
        let running = container.state.and_then(|state| state.running) == Some(true);
        // A running container has a connection already, and its standard input ends with that one.
        if lifeline && !running {
            self.lifelines.attach(&self.api, id).await?;
        }
        self.api.start_container(id, None).await
    }

    pub(crate) async fn stop(&self, id: &str, grace: Duration) -> Result<i64, EngineError> {
        let what = || format!("stopping container {id}");
        if self.state(id).await?.paused == Some(true) {
            self.resume(id).await.map_err(failed(what()))?;
        }
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptions {
            t: Some(seconds),
            ..Default::default()
        };
        self.api
            .stop_container(id, Some(options))
            .await
            .map_err(failed(what()))?;
        self.lifelines.drop(id);
        Ok(self.state(id).await?.exit_code.unwrap_or_default())
    }

    /// It is not an error if the container is not running.
    pub(crate) async fn kill(&self, id: &str) -> Result<(), EngineError> {
        match self.api.kill_container(id, None::<KillContainerOptions>).await {
            // 409: it is not running.
            Ok(()) | Err(ApiError::DockerResponseServerError { status_code: 409, .. }) => {}
            Err(error) => return Err(failed(format!("killing container {id}"))(error)),
        }
        let mut ended = std::pin::pin!(self.api.wait_container(id, None::<WaitContainerOptions>));
        match ended.next().await {
            // bollard reports an exit code other than 0 as an error. 404: the container has been removed.
            None
            | Some(
                Ok(_)
                | Err(
                    ApiError::DockerContainerWaitError { .. }
                    | ApiError::DockerResponseServerError { status_code: 404, .. },
                ),
            ) => {
                self.lifelines.drop(id);
                Ok(())
            }
            Some(Err(error)) => Err(failed(format!("waiting for the end of container {id}"))(error)),
        }
    }

    pub(crate) async fn pause(&self, id: &str) -> Result<(), EngineError> {
        let paused = self.api.pause_container(id).await;
        match paused {
            Err(_) if self.state(id).await?.paused == Some(true) => Ok(()),
            other => other.map_err(failed(format!("pausing container {id}"))),
        }
    }

    pub(crate) async fn unpause(&self, id: &str) -> Result<(), EngineError> {
        self.resume(id)
            .await
            .map_err(failed(format!("unpausing container {id}")))
    }

    async fn resume(&self, id: &str) -> Result<(), ApiError> {
        let resumed = self.api.unpause_container(id).await;
        match resumed {
            Err(error) => {
                // Another process may have resumed it.
                let state = self.api.inspect_container(id, None).await?.state;
                match state.unwrap_or_default().paused {
                    Some(true) => Err(error),
                    _ => Ok(()),
                }
            }
            Ok(()) => Ok(()),
        }
    }

    async fn state(&self, id: &str) -> Result<ContainerState, EngineError> {
        let inspected = self.api.inspect_container(id, None).await;
        let inspected = inspected.map_err(failed(format!("inspecting container {id}")))?;
        Ok(inspected.state.unwrap_or_default())
    }

    pub(crate) async fn remove(&self, id: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptions {
            force: true,
            ..Default::default()
        };
        match self.api.remove_container(id, Some(options)).await {
            // 409: another request is removing it.
            Ok(())
            | Err(ApiError::DockerResponseServerError {
                status_code: 404 | 409,
                ..
            }) => {
                self.lifelines.drop(id);
                Ok(())
            }
            Err(error) => Err(failed(format!("removing container {id}"))(error)),
        }
    }

    pub(crate) async fn remove_all(&self, ids: Vec<String>) -> Result<(), EngineError> {
        let removals = join_all(ids.iter().map(|id| self.remove(id))).await;
        removals.into_iter().collect()
    }
}

/// Recognises a taken host port by the engine's message: there is no status code for this error.
fn is_port_taken(message: &str) -> bool {
    message.contains("port is already allocated") || message.contains("address already in use")
}
