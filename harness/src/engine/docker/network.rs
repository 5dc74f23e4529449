//! Creates, lists and removes networks. Their names are not unique: they are found by label and removed by id.

use std::collections::BTreeMap;

use bollard::errors::Error as ApiError;
use bollard::models::NetworkCreateRequest;
use bollard::query_parameters::ListNetworksOptions;

use super::super::{EngineError, Network};
use super::{Docker, failed, filters};

impl Docker {
    pub(crate) async fn create_network(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<String, EngineError> {
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".to_owned()),
            labels: Some(labels.clone().into_iter().collect()),
            ..Default::default()
        };
        let api = self.api.clone();
        let created = self
            .finish(async move { api.create_network(request).await })
            .await;
        let id = created.map_err(failed(format!("creating network {name}")))?.id;
        self.join(&id).await?;
        Ok(id)
    }

    pub(crate) async fn networks(&self, with_label: &str) -> Result<Vec<Network>, EngineError> {
        let options = ListNetworksOptions {
            filters: Some(filters(&[("label", with_label)])),
        };
        let list = self
            .api
            .list_networks(Some(options))
            .await
            .map_err(failed("listing networks"))?;
        let network = |network: bollard::models::Network| Network {
            id: network.id.unwrap_or_default(),
            name: network.name.unwrap_or_default(),
            labels: network.labels.unwrap_or_default().into_iter().collect(),
        };
        Ok(list.into_iter().map(network).collect())
    }

    pub(crate) async fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        self.leave(id).await;
        match self.api.remove_network(id).await {
            Ok(()) | Err(ApiError::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
            Err(error) => Err(failed(format!("removing network {id}"))(error)),
        }
    }
}
