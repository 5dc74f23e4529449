//! What a project's images, containers and networks are like, in more detail than a mesh of the harness needs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bollard::errors::Error as ApiError;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::InspectNetworkOptions;
use chrono::DateTime;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::super::{EngineError, label};
use super::{Docker, failed};

/// Requests at a time.
const CONCURRENT: usize = 8;

/// A container of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspected {
    /// Its full id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its state as one word, for instance `running`.
    pub state: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its address on each network, by the network's name.
    pub addresses: BTreeMap<String, IpAddr>,
    /// The network links that it was created with, `TARGET:ALIAS`.
    pub links: BTreeSet<String>,
    /// Its network mode, for instance `container:ID`.
    pub network_mode: String,
    /// Its image's id.
    pub image_id: String,
    /// How often the engine has restarted it.
    pub restarts: i64,
    /// Whether it was created with ports of the host.
    pub publishes: bool,
    /// When it was started last, as seconds and nanoseconds since 1970.
    pub started: Option<(i64, u32)>,
}

impl Inspected {
    /// The value of a label; empty if there is none with this name.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// Whether it runs.
    pub fn running(&self) -> bool {
        self.state == "running"
    }
}

/// What an image says of its containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InspectedImage {
    /// The ports that it declares, as `NUMBER/PROTOCOL`.
    pub ports: Vec<String>,
    /// The command of its health check, after a word that says of which kind it is; empty without one.
    pub health_check: Vec<String>,
}

/// A network with the containers that run on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InspectedNetwork {
    /// Its subnets.
    pub subnets: Vec<String>,
    /// Its gateways.
    pub gateways: Vec<IpAddr>,
    /// The addresses of each container, by its name.
    pub containers: BTreeMap<String, Vec<IpAddr>>,
}

impl Docker {
    /// An image; `None` if there is none with this name.
    ///
    /// # Errors
    /// The engine fails.
    pub async fn inspect_image(&self, name: &str) -> Result<Option<InspectedImage>, EngineError> {
        match self.api.inspect_image(name).await {
            Ok(image) => {
                let config = image.config.unwrap_or_default();
                let health_check = config.healthcheck.and_then(|check| check.test);
                Ok(Some(InspectedImage {
                    ports: config.exposed_ports.unwrap_or_default(),
                    health_check: health_check.unwrap_or_default(),
                }))
            }
            Err(ApiError::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(failed(format!("inspecting image {name}"))(error)),
        }
    }

    /// The containers of a project, sorted by name, without those of `compose run`.
    ///
    /// # Errors
    /// The engine fails.
    pub async fn project(&self, name: &str) -> Result<Vec<Inspected>, EngineError> {
        let all = self.containers(&format!("{}={name}", label::PROJECT)).await?;
        let all = all
            .into_iter()
            .filter(|container| !container.label(label::ONE_OFF).eq_ignore_ascii_case("true"));
        let inspected = stream::iter(all).map(|container| async move {
            match self.api.inspect_container(&container.id, None).await {
                Ok(response) => Ok(Some(inspected(response))),
                Err(ApiError::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
                Err(error) => Err(failed(format!("inspecting container {}", container.name))(error)),
            }
        });
        let mut found: Vec<Option<Inspected>> = inspected.buffered(CONCURRENT).try_collect().await?;
        found.sort_by(|a, b| a.as_ref().map(|a| &a.name).cmp(&b.as_ref().map(|b| &b.name)));
        Ok(found.into_iter().flatten().collect())
    }

    /// Whether SELinux separates the engine's containers from its machine.
    ///
    /// # Errors
    /// The engine fails.
    pub async fn separates_by_selinux(&self) -> Result<bool, EngineError> {
        let info = self
            .api
            .info()
            .await
            .map_err(failed("asking the engine for its options"))?;
        Ok(selinux(&info.security_options.unwrap_or_default()))
    }

    /// A network by its name; `None` if there is none.
    ///
    /// # Errors
    /// The engine fails.
    pub async fn inspect_network(&self, name: &str) -> Result<Option<InspectedNetwork>, EngineError> {
        let network = match self
            .api
            .inspect_network(name, None::<InspectNetworkOptions>)
            .await
        {
            Ok(network) => network,
            Err(ApiError::DockerResponseServerError { status_code: 404, .. }) => return Ok(None),
            Err(error) => return Err(failed(format!("inspecting network {name}"))(error)),
        };
        let mut found = InspectedNetwork::default();
        for block in network.ipam.and_then(|ipam| ipam.config).unwrap_or_default() {
            found.subnets.extend(block.subnet);
            found
                .gateways
                .extend(block.gateway.and_then(|gateway| gateway.parse::<IpAddr>().ok()));
        }
        for container in network.containers.unwrap_or_default().into_values() {
            let addresses = [container.ipv4_address, container.ipv6_address]
                .into_iter()
                .flatten();
            let addresses = addresses.filter_map(|address| address.split('/').next()?.parse().ok());
            found
                .containers
                .insert(container.name.unwrap_or_default(), addresses.collect());
        }
        Ok(Some(found))
    }
}

/// Whether the engine's security options, such as `name=seccomp,profile=default`, have SELinux.
fn selinux(options: &[String]) -> bool {
    options
        .iter()
        .any(|option| option.split(',').any(|part| part == "name=selinux"))
}

fn inspected(response: ContainerInspectResponse) -> Inspected {
    let config = response.config.unwrap_or_default();
    let networks = response
        .network_settings
        .and_then(|settings| settings.networks)
        .unwrap_or_default();
    let links = networks
        .values()
        .flat_map(|endpoint| endpoint.links.clone().unwrap_or_default());
    let links = links.collect();
    let address = |text: Option<String>| text?.parse().ok();
    let addresses = networks
        .into_iter()
        .filter_map(|(name, endpoint)| Some((name, address(endpoint.ip_address)?)));
    let state = response.state.unwrap_or_default();
    let started = state.started_at.as_deref();
    let started = started.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    let host = response.host_config.unwrap_or_default();
    let bindings = host.port_bindings.unwrap_or_default();
    Inspected {
        id: response.id.unwrap_or_default(),
        name: response
            .name
            .unwrap_or_default()
            .trim_start_matches('/')
            .to_owned(),
        state: state.status.map(|state| state.to_string()).unwrap_or_default(),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        addresses: addresses.collect(),
        links,
        network_mode: host.network_mode.unwrap_or_default(),
        image_id: response.image.unwrap_or_default(),
        restarts: response.restart_count.unwrap_or_default(),
        publishes: bindings.values().flatten().any(|bound| !bound.is_empty()),
        started: started.map(|time| (time.timestamp(), time.timestamp_subsec_nanos())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_engine_that_reports_selinux_needs_labels_for_it() {
        let options = |options: &[&str]| {
            selinux(
                &options
                    .iter()
                    .map(|option| (*option).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert!(options(&["name=seccomp,profile=default", "name=selinux"]));
        assert!(!options(&["name=apparmor", "name=seccomp,profile=selinux"]));
        assert!(!options(&[]));
    }
}
