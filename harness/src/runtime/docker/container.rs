//! Containers: make, start, stop, remove, look at.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bollard::errors::Error as ApiError;
use bollard::models::{
    ContainerCreateBody, ContainerSummary, EndpointSettings, HealthConfig, HostConfig, NetworkingConfig,
    PortBinding,
};
use bollard::query_parameters::{
    CreateContainerOptions, KillContainerOptions, ListContainersOptions, RemoveContainerOptions,
    StopContainerOptions, TopOptions,
};

use futures_util::StreamExt;

use super::super::{Container, Creation, ProcessUse, RuntimeError};
use super::{Docker, failed, filters};

impl Docker {
    /// All containers with a label (`name`, or `name=value`), stopped ones included, sorted by name.
    ///
    /// # Errors
    /// The engine's.
    pub async fn containers(&self, with_label: &str) -> Result<Vec<Container>, RuntimeError> {
        self.list(Some(filters(&[("label", with_label)]))).await
    }

    /// All containers of the engine, sorted by name.
    ///
    /// # Errors
    /// The engine's.
    pub async fn all_containers(&self) -> Result<Vec<Container>, RuntimeError> {
        self.list(None).await
    }

    /// One container, by its id.
    ///
    /// # Errors
    /// There is none with that id, or the engine's.
    pub async fn container(&self, id: &str) -> Result<Container, RuntimeError> {
        let missing = || RuntimeError::Missing {
            what: format!("looking at container {id}"),
            reason: "it is gone".to_owned(),
        };
        self.list(Some(filters(&[("id", id)])))
            .await?
            .pop()
            .ok_or_else(missing)
    }

    async fn list(
        &self,
        filters: Option<HashMap<String, Vec<String>>>,
    ) -> Result<Vec<Container>, RuntimeError> {
        let options = ListContainersOptions {
            all: true,
            filters,
            ..Default::default()
        };
        let list = self
            .api
            .list_containers(Some(options))
            .await
            .map_err(failed("listing containers"))?;
        let mut containers: Vec<Container> = list.into_iter().map(container).collect();
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(containers)
    }

    /// Makes a container; it does not run yet. Answers with its id.
    ///
    /// # Errors
    /// Its name is taken, its image is missing, or the engine's.
    pub async fn create(&self, creation: Creation<'_>) -> Result<String, RuntimeError> {
        let service = creation.service;
        let name = service.container_name.clone();
        let options = CreateContainerOptions {
            name: Some(name.clone()),
            ..Default::default()
        };
        let (api, body) = (self.api.clone(), body(&creation));
        let made = self
            .make(async move { api.create_container(Some(options), body).await })
            .await;
        match made {
            Ok(made) => Ok(made.id),
            Err(ApiError::DockerResponseServerError { status_code: 409, .. }) => {
                Err(RuntimeError::NameTaken { name })
            }
            Err(error) => Err(failed(format!("creating container {name}"))(error)),
        }
    }

    /// Starts a container.
    ///
    /// # Errors
    /// A host port of it is taken, or the engine's.
    pub async fn start(&self, id: &str, name: &str) -> Result<(), RuntimeError> {
        let (api, owned) = (self.api.clone(), id.to_owned());
        match self
            .make(async move { api.start_container(&owned, None).await })
            .await
        {
            Ok(()) => Ok(()),
            Err(ApiError::DockerResponseServerError { message, .. }) if tells_port_held(&message) => {
                Err(RuntimeError::PortHeld {
                    container: name.to_owned(),
                    reason: message,
                })
            }
            Err(error) => Err(failed(format!("starting container {name}"))(error)),
        }
    }

    /// Stops a container gracefully; the engine kills it after `grace`. Answers with its exit code.
    ///
    /// # Errors
    /// The engine's.
    pub async fn stop(&self, id: &str, grace: Duration) -> Result<i64, RuntimeError> {
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptions {
            t: Some(seconds),
            ..Default::default()
        };
        self.api
            .stop_container(id, Some(options))
            .await
            .map_err(failed(format!("stopping container {id}")))?;
        let inspected = self.api.inspect_container(id, None).await;
        let state = inspected
            .map_err(failed(format!("looking at container {id}")))?
            .state
            .unwrap_or_default();
        Ok(state.exit_code.unwrap_or_default())
    }

    /// Kills all processes of a container at once; it has ended when this returns. One that does not run is no error.
    ///
    /// # Errors
    /// The engine's.
    pub async fn kill(&self, id: &str) -> Result<(), RuntimeError> {
        let options = KillContainerOptions {
            signal: "KILL".to_owned(),
        };
        match self.api.kill_container(id, Some(options)).await {
            // 409: it does not run.
            Ok(()) | Err(ApiError::DockerResponseServerError { status_code: 409, .. }) => {}
            Err(error) => return Err(failed(format!("killing container {id}"))(error)),
        }
        let mut ends = std::pin::pin!(self.api.wait_container(id, None));
        match ends.next().await {
            // The exit code of a killed container is an error to the client.
            None | Some(Ok(_) | Err(ApiError::DockerContainerWaitError { .. })) => Ok(()),
            Some(Err(error)) => Err(failed(format!("waiting for the end of container {id}"))(error)),
        }
    }

    /// Makes all processes of a container stand still.
    ///
    /// # Errors
    /// The engine's.
    pub async fn pause(&self, id: &str) -> Result<(), RuntimeError> {
        let paused = self.api.pause_container(id).await;
        paused.map_err(failed(format!("pausing container {id}")))
    }

    /// Lets a paused container go on.
    ///
    /// # Errors
    /// The engine's.
    pub async fn unpause(&self, id: &str) -> Result<(), RuntimeError> {
        let resumed = self.api.unpause_container(id).await;
        resumed.map_err(failed(format!("resuming container {id}")))
    }

    /// Kills and removes a container. One that is gone already is no error.
    ///
    /// # Errors
    /// The engine's.
    pub async fn remove(&self, id: &str) -> Result<(), RuntimeError> {
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
            }) => Ok(()),
            Err(error) => Err(failed(format!("removing container {id}"))(error)),
        }
    }

    /// The processes in a container and the memory that each holds, by the engine's `ps`.
    ///
    /// # Errors
    /// The engine's; or its `ps` does not tell resident memory.
    pub async fn processes(&self, id: &str) -> Result<Vec<ProcessUse>, RuntimeError> {
        let what = || format!("listing the processes of container {id}");
        let options = TopOptions {
            ps_args: "-eo pid,rss,comm".to_owned(),
        };
        let top = self
            .api
            .top_processes(id, Some(options))
            .await
            .map_err(failed(what()))?;
        let titles = top.titles.unwrap_or_default();
        let column = |title: &str| titles.iter().position(|known| known == title);
        let (Some(rss), Some(command)) = (column("RSS"), column("COMMAND")) else {
            return Err(RuntimeError::Engine {
                what: what(),
                reason: format!("no RSS among {titles:?}"),
            });
        };
        let read = |row: Vec<String>| {
            Some(ProcessUse {
                program: row.get(command)?.clone(),
                resident_kib: row.get(rss)?.parse().ok()?,
            })
        };
        Ok(top
            .processes
            .unwrap_or_default()
            .into_iter()
            .filter_map(read)
            .collect())
    }
}

fn body(creation: &Creation<'_>) -> ContainerCreateBody {
    let service = creation.service;
    let mut bindings: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for port in &service.ports {
        let binding = PortBinding {
            host_ip: Some(port.host_ip.to_string()),
            // An empty port lets the engine choose.
            host_port: Some(port.host_port.map(|port| port.to_string()).unwrap_or_default()),
        };
        let key = format!("{}/tcp", port.container_port);
        bindings
            .entry(key)
            .or_default()
            .get_or_insert_default()
            .push(binding);
    }
    let endpoint = EndpointSettings {
        aliases: Some(vec![service.name.clone()]),
        ..Default::default()
    };
    let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    ContainerCreateBody {
        image: Some(service.image.clone()),
        cmd: Some(service.command.clone()),
        env: Some(
            service
                .environment
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect(),
        ),
        labels: Some(creation.labels.clone().into_iter().collect()),
        exposed_ports: Some(bindings.keys().cloned().collect()),
        healthcheck: service.healthcheck.as_ref().map(|check| HealthConfig {
            test: Some(check.test.clone()),
            interval: Some(nanoseconds(check.interval)),
            timeout: Some(nanoseconds(check.timeout)),
            retries: Some(i64::from(check.retries)),
            ..Default::default()
        }),
        stop_timeout: i64::try_from(service.stop_grace_period.as_secs()).ok(),
        host_config: Some(HostConfig {
            network_mode: Some(creation.network.to_owned()),
            port_bindings: Some(bindings),
            readonly_rootfs: Some(service.read_only),
            cap_drop: Some(service.cap_drop.clone()),
            security_opt: Some(service.security_opt.clone()),
            ..Default::default()
        }),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(creation.network.to_owned(), endpoint)])),
        }),
        ..Default::default()
    }
}

fn container(summary: ContainerSummary) -> Container {
    let name = summary
        .names
        .unwrap_or_default()
        .into_iter()
        .next()
        .unwrap_or_default();
    let bound = |port: &bollard::models::PortSummary| {
        let ip: IpAddr = port.ip.as_deref()?.parse().ok()?;
        Some((port.private_port, SocketAddr::new(ip, port.public_port?)))
    };
    let mut ports: Vec<_> = summary
        .ports
        .unwrap_or_default()
        .iter()
        .filter_map(bound)
        .collect();
    ports.sort_unstable();
    Container {
        id: summary.id.unwrap_or_default(),
        name: name.trim_start_matches('/').to_owned(),
        image: summary.image.unwrap_or_default(),
        image_id: summary.image_id.unwrap_or_default(),
        command: summary.command.unwrap_or_default(),
        state: summary.state.map(|state| state.to_string()).unwrap_or_default(),
        status: summary.status.unwrap_or_default(),
        labels: summary.labels.unwrap_or_default().into_iter().collect(),
        ports,
    }
}

/// The engine has no code of its own for this.
fn tells_port_held(message: &str) -> bool {
    message.contains("port is already allocated") || message.contains("address already in use")
}
