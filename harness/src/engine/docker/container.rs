//! Lists containers and their processes.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use bollard::models::ContainerSummary;
use bollard::query_parameters::{ListContainersOptions, TopOptions};

use super::super::{Container, EngineError, ProcessMemory};
use super::{Docker, failed, filters};

impl Docker {
    pub(crate) async fn containers(&self, with_label: &str) -> Result<Vec<Container>, EngineError> {
        self.list(Some(filters(&[("label", with_label)]))).await
    }

    pub(crate) async fn all_containers(&self) -> Result<Vec<Container>, EngineError> {
        self.list(None).await
    }

    pub(crate) async fn container(&self, id: &str) -> Result<Container, EngineError> {
        let missing = || EngineError::Missing {
            what: format!("inspecting container {id}"),
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
    ) -> Result<Vec<Container>, EngineError> {
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
        if self.own.is_some() {
            for container in &mut containers {
                container.direct = container.address;
            }
        }
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(containers)
    }

    /// Parses the engine's `ps` output, which must have a column of resident memory.
    pub(crate) async fn processes(&self, id: &str) -> Result<Vec<ProcessMemory>, EngineError> {
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
            return Err(EngineError::Other {
                what: what(),
                reason: format!("no RSS among {titles:?}"),
            });
        };
        let read = |row: Vec<String>| {
            Some(ProcessMemory {
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
    let networks = summary.network_settings.and_then(|settings| settings.networks);
    let endpoints = networks.unwrap_or_default();
    let address = endpoints
        .values()
        .find_map(|endpoint| endpoint.ip_address.as_ref()?.parse().ok());
    let networks = endpoints
        .into_values()
        .filter_map(|endpoint| endpoint.network_id)
        .collect();
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
        networks,
        address,
        direct: None,
    }
}
