//! Containers' lives: start, stop, kill, pause, remove.

use std::time::Duration;

use bollard::errors::Error as ApiError;
use bollard::models::ContainerState;
use bollard::query_parameters::{
    KillContainerOptions, RemoveContainerOptions, StopContainerOptions, WaitContainerOptions,
};
use futures_util::StreamExt;

use super::super::EngineError;
use super::{Docker, failed};

impl Docker {
    /// Starts a container. Where it was made with a lifeline, its standard input stays open for as long as this
    /// process lives.
    ///
    /// # Errors
    /// A host port of it is taken, or the engine's.
    pub async fn start(&self, id: &str, name: &str) -> Result<(), EngineError> {
        let (docker, owned) = (self.clone(), id.to_owned());
        match self
            .make(async move { docker.attach_and_start(&owned).await })
            .await
        {
            Ok(()) => Ok(()),
            Err(ApiError::DockerResponseServerError { message, .. }) if tells_port_held(&message) => {
                Err(EngineError::PortHeld {
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
        // Where it runs, a second connection would be none the better: the end of the first ends its input.
        if lifeline && !running {
            self.lifelines.attach(&self.api, id).await?;
        }
        let started = self.api.start_container(id, None).await;
        if started.is_err() && !running {
            self.lifelines.drop(id);
        }
        started
    }

    /// Stops a container gracefully; the engine kills it after `grace`. Answers with its exit code. A paused one goes
    /// on first, as it could not end otherwise.
    ///
    /// # Errors
    /// The engine's.
    pub async fn stop(&self, id: &str, grace: Duration) -> Result<i64, EngineError> {
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

    /// Kills all processes of a container at once (SIGKILL), also of a paused one; it has ended when this returns. One
    /// that does not run is no error.
    ///
    /// # Errors
    /// There is no such container, or the engine's.
    pub async fn kill(&self, id: &str) -> Result<(), EngineError> {
        match self.api.kill_container(id, None::<KillContainerOptions>).await {
            // 409: it does not run.
            Ok(()) | Err(ApiError::DockerResponseServerError { status_code: 409, .. }) => {}
            Err(error) => return Err(failed(format!("killing container {id}"))(error)),
        }
        let mut ended = std::pin::pin!(self.api.wait_container(id, None::<WaitContainerOptions>));
        match ended.next().await {
            // Of a container that ended with anything but 0, the answer comes as an error. 404: it has been removed.
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

    /// Makes all processes of a container stand still. One that does already is no error.
    ///
    /// # Errors
    /// It does not run, or the engine's.
    pub async fn pause(&self, id: &str) -> Result<(), EngineError> {
        let paused = self.api.pause_container(id).await;
        match paused {
            Err(_) if self.state(id).await?.paused == Some(true) => Ok(()),
            other => other.map_err(failed(format!("pausing container {id}"))),
        }
    }

    /// Lets a paused container go on. One that is not paused is no error.
    ///
    /// # Errors
    /// The engine's.
    pub async fn unpause(&self, id: &str) -> Result<(), EngineError> {
        self.resume(id)
            .await
            .map_err(failed(format!("unpausing container {id}")))
    }

    async fn resume(&self, id: &str) -> Result<(), ApiError> {
        let resumed = self.api.unpause_container(id).await;
        match resumed {
            Err(error) => {
                // Whoever paused it may have let it go on just now.
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
        let inspected = inspected.map_err(failed(format!("looking at container {id}")))?;
        Ok(inspected.state.unwrap_or_default())
    }

    /// Kills and removes a container. One that is gone already is no error.
    ///
    /// # Errors
    /// The engine's.
    pub async fn remove(&self, id: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptions {
            force: true,
            v: true,
            ..Default::default()
        };
        match self.api.remove_container(id, Some(options)).await {
            // 409: somebody else is removing it right now.
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
}

/// The engine has no code of its own for this.
fn tells_port_held(message: &str) -> bool {
    message.contains("port is already allocated") || message.contains("address already in use")
}
