//! Finds, imports and removes images.

use bollard::errors::Error as ApiError;
use bollard::query_parameters::{CreateImageOptions, ListImagesOptions, RemoveImageOptions};
use bytes::Bytes;
use futures_util::StreamExt;

use super::super::{EngineError, Image, label};
use super::{Docker, failed, filters};

impl Docker {
    pub(crate) async fn image(&self, name: &str) -> Result<Option<Image>, EngineError> {
        match self.api.inspect_image(name).await {
            Ok(image) => Ok(Some(Image {
                id: image.id.unwrap_or_default(),
                labels: image
                    .config
                    .and_then(|config| config.labels)
                    .unwrap_or_default()
                    .into_iter()
                    .collect(),
                size: image
                    .size
                    .and_then(|size| size.try_into().ok())
                    .unwrap_or_default(),
            })),
            Err(ApiError::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(failed(format!("inspecting image {name}"))(error)),
        }
    }

    /// The id of an image; `None` if there is none of this name.
    ///
    /// # Errors
    /// The engine fails.
    pub async fn image_id(&self, name: &str) -> Result<Option<String>, EngineError> {
        Ok(self.image(name).await?.map(|image| image.id))
    }

    /// The engine can report an error after the start of its response.
    pub(crate) async fn import_image(
        &self,
        name: &str,
        tar: Bytes,
        changes: Vec<String>,
    ) -> Result<(), EngineError> {
        let options = CreateImageOptions {
            from_src: Some("-".to_owned()),
            repo: Some(name.to_owned()),
            tag: if name.contains(':') {
                None
            } else {
                Some("latest".to_owned())
            },
            changes,
            ..Default::default()
        };
        let body = bollard::body_full(tar);
        let mut answers = std::pin::pin!(self.api.create_image(Some(options), Some(body), None));
        while let Some(answer) = answers.next().await {
            answer.map_err(failed(format!("importing image {name}")))?;
        }
        Ok(())
    }

    pub(crate) async fn remove_outdated_images(&self) -> Result<(), EngineError> {
        let filters = filters(&[("label", label::DIGEST), ("dangling", "true")]);
        let options = ListImagesOptions {
            filters: Some(filters),
            ..Default::default()
        };
        for image in self
            .api
            .list_images(Some(options))
            .await
            .map_err(failed("listing images"))?
        {
            let removed = self
                .api
                .remove_image(&image.id, None::<RemoveImageOptions>, None)
                .await;
            match removed {
                Ok(_)
                | Err(ApiError::DockerResponseServerError {
                    status_code: 404 | 409,
                    ..
                }) => {}
                Err(error) => return Err(failed(format!("removing image {}", image.id))(error)),
            }
        }
        Ok(())
    }
}
