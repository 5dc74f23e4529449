//! Creates containers.

use std::collections::HashMap;
use std::time::Duration;

use bollard::errors::Error as ApiError;
use bollard::models::{
    ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, NetworkingConfig, PortBinding,
};
use bollard::query_parameters::CreateContainerOptions;

use super::super::{ContainerSpec, END_WITH_STDIN, EngineError};
use super::{Docker, failed};

impl Docker {
    pub(crate) async fn create(&self, spec: ContainerSpec) -> Result<String, EngineError> {
        let name = spec.service.container_name.clone();
        self.create_from(name, body(spec)).await
    }

    pub(super) async fn create_from(
        &self,
        name: String,
        body: ContainerCreateBody,
    ) -> Result<String, EngineError> {
        let options = CreateContainerOptions {
            name: Some(name.clone()),
            ..Default::default()
        };
        let api = self.api.clone();
        let created = self
            .finish(async move { api.create_container(Some(options), body).await })
            .await;
        match created {
            Ok(created) => Ok(created.id),
            Err(ApiError::DockerResponseServerError { status_code: 409, .. }) => {
                Err(EngineError::NameTaken { name })
            }
            Err(error) => Err(failed(format!("creating container {name}"))(error)),
        }
    }
}

fn body(spec: ContainerSpec) -> ContainerCreateBody {
    let service = spec.service;
    let mut bindings: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for port in &service.ports {
        let binding = PortBinding {
            host_ip: Some(port.host_ip.to_string()),
            // For an empty port the engine chooses a free one.
            host_port: Some(port.host_port.map(|port| port.to_string()).unwrap_or_default()),
        };
        let key = format!("{}/tcp", port.container_port);
        bindings
            .entry(key)
            .or_default()
            .get_or_insert_default()
            .push(binding);
    }
    let files = service.files.iter();
    let binds = files.map(|file| format!("{}:{}:ro", file.source.display(), file.target));
    let endpoint = EndpointSettings {
        aliases: Some(vec![service.name]),
        ..Default::default()
    };
    let mut command = service.command;
    if spec.lifeline {
        command.insert(0, END_WITH_STDIN.to_owned());
    }
    let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    ContainerCreateBody {
        image: Some(service.image),
        cmd: Some(command),
        open_stdin: Some(spec.lifeline),
        stdin_once: Some(spec.lifeline),
        attach_stdin: Some(spec.lifeline),
        env: Some(
            service
                .environment
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect(),
        ),
        labels: Some(spec.labels.into_iter().collect()),
        exposed_ports: Some(bindings.keys().cloned().collect()),
        healthcheck: service.healthcheck.map(|check| HealthConfig {
            test: Some(check.test),
            interval: Some(nanoseconds(check.interval)),
            timeout: Some(nanoseconds(check.timeout)),
            retries: Some(i64::from(check.retries)),
            ..Default::default()
        }),
        stop_timeout: i64::try_from(service.stop_grace_period.as_secs()).ok(),
        host_config: Some(HostConfig {
            network_mode: Some(spec.network.clone()),
            port_bindings: Some(bindings),
            readonly_rootfs: Some(service.read_only),
            cap_drop: Some(service.cap_drop),
            security_opt: Some(service.security_opt),
            binds: Some(binds.collect()),
            ..Default::default()
        }),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(spec.network, endpoint)])),
        }),
        ..Default::default()
    }
}
