//! Helper containers for what needs the engine's machine: its view of a folder, volumes, and network namespaces.
//!
//! The first two need no program: the engine copies files from and to a container that is created and never started.
//! A helper is removed even if the caller is dropped: its work runs in a task, which [`Docker::settled`] waits for.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType, VolumeCreateRequest};
use bollard::query_parameters::{
    DownloadFromContainerOptions, RemoveVolumeOptions, UploadToContainerOptions, WaitContainerOptions,
};
use bytes::Bytes;
use futures_util::StreamExt;

use super::super::{EngineError, LogOptions, label, logs};
use super::{Docker, failed};

/// Timeout for a program in a helper.
const LIMIT: Duration = Duration::from_secs(20);
/// Limit of what is read from a file or from a program's output, in bytes or lines.
const SIZE_LIMIT: usize = 65_536;
/// Limit of what is read from a volume, in bytes.
const VOLUME_LIMIT: usize = 4 << 20;
/// Where a helper has its mount.
const MOUNT_POINT: &str = "/mnt";

/// What a helper mounts.
#[derive(Debug, Clone)]
pub enum HelperMount {
    /// A directory of the engine's machine.
    Directory(String),
    /// A named volume.
    Volume(String),
}

impl Docker {
    /// The content of a file in a mount as the engine sees it; `None` if it does not see the mount or the file.
    ///
    /// # Errors
    /// The helper cannot be removed.
    pub async fn file_in(
        &self,
        image: &str,
        mount: HelperMount,
        file: &str,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        let (docker, image, file) = (self.clone(), image.to_owned(), file.to_owned());
        self.complete(async move { docker.read_file(&image, mount, &file).await })
            .await
    }

    async fn read_file(
        &self,
        image: &str,
        mount: HelperMount,
        file: &str,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        let Ok(id) = self.create_helper(image, mount).await else {
            return Ok(None);
        };
        let archive = self
            .download(&id, &format!("{MOUNT_POINT}/{file}"), SIZE_LIMIT)
            .await;
        self.remove(&id).await?;
        Ok(archive.and_then(|archive| first_file(&archive)))
    }

    /// The paths of the files in a volume; empty if there is no such volume.
    ///
    /// # Errors
    /// The helper cannot be created or removed, or the volume not be read.
    pub async fn files_in_volume(&self, image: &str, name: &str) -> Result<BTreeSet<String>, EngineError> {
        // The engine would create a missing one.
        if self.api.inspect_volume(name).await.is_err() {
            return Ok(BTreeSet::new());
        }
        let (docker, image, name) = (self.clone(), image.to_owned(), name.to_owned());
        self.complete(async move {
            let id = docker
                .create_helper(&image, HelperMount::Volume(name.clone()))
                .await?;
            let archive = docker
                .download(&id, &format!("{MOUNT_POINT}/."), VOLUME_LIMIT)
                .await;
            docker.remove(&id).await?;
            archive
                .map(|archive| paths(&archive))
                .ok_or_else(|| EngineError::Other {
                    what: format!("reading volume {name}"),
                    reason: format!("it is unreadable, or larger than {VOLUME_LIMIT} bytes"),
                })
        })
        .await
    }

    /// An archive of a path in a container; `None` if it cannot be read, or is larger than the limit.
    async fn download(&self, id: &str, path: &str, limit: usize) -> Option<Vec<u8>> {
        let options = DownloadFromContainerOptions {
            path: path.to_owned(),
        };
        let mut archive = Vec::new();
        let mut chunks = std::pin::pin!(self.api.download_from_container(id, Some(options)));
        while let Some(chunk) = chunks.next().await {
            match chunk {
                Ok(chunk) if archive.len() < limit => archive.extend_from_slice(&chunk),
                _ => return None,
            }
        }
        Some(archive)
    }

    /// Creates the volume `name` with the label, unless it exists, and copies the files of `tar` to its root.
    ///
    /// # Errors
    /// A volume of that name exists without the label, or the engine fails.
    pub async fn fill_volume(
        &self,
        image: &str,
        (name, project): (&str, &str),
        tar: Bytes,
    ) -> Result<(), EngineError> {
        let what = || format!("creating volume {name}");
        let labels = HashMap::from([(label::VOLUME.to_owned(), project.to_owned())]);
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels.clone()),
            ..Default::default()
        };
        // The engine answers with an existing volume as it is.
        let volume = self.api.create_volume(request).await.map_err(failed(what()))?;
        if volume.labels.get(label::VOLUME) != labels.get(label::VOLUME) {
            return Err(EngineError::Other {
                what: what(),
                reason: "a volume of this name exists that is not the harness's".to_owned(),
            });
        }
        let (docker, image, name) = (self.clone(), image.to_owned(), name.to_owned());
        self.complete(async move { docker.write_to_volume(&image, &name, tar).await })
            .await
    }

    async fn write_to_volume(&self, image: &str, name: &str, tar: Bytes) -> Result<(), EngineError> {
        let id = self
            .create_helper(image, HelperMount::Volume(name.to_owned()))
            .await?;
        let options = UploadToContainerOptions {
            path: MOUNT_POINT.to_owned(),
            ..Default::default()
        };
        let uploaded = self
            .api
            .upload_to_container(&id, Some(options), bollard::body_full(tar))
            .await;
        self.remove(&id).await?;
        uploaded.map_err(failed(format!("writing to volume {name}")))
    }

    /// Removes the volume `name` if it has the project's label.
    ///
    /// # Errors
    /// A container uses it, or the engine fails.
    pub async fn remove_volume(&self, name: &str, project: &str) -> Result<(), EngineError> {
        let Ok(volume) = self.api.inspect_volume(name).await else {
            return Ok(());
        };
        if volume.labels.get(label::VOLUME).map(String::as_str) != Some(project) {
            return Ok(());
        }
        let removed = self.api.remove_volume(name, None::<RemoveVolumeOptions>).await;
        removed.map_err(failed(format!("removing volume {name}")))
    }

    /// The output of a program of `image` in the network namespace of the running container `target`. The helper has no
    /// capabilities.
    ///
    /// # Errors
    /// The target does not run, or the program fails.
    pub async fn output_in_namespace(
        &self,
        image: &str,
        target: &str,
        command: &[&str],
    ) -> Result<Vec<String>, EngineError> {
        let (docker, image, target) = (self.clone(), image.to_owned(), target.to_owned());
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        self.complete(async move { docker.run_in_namespace(&image, &target, command).await })
            .await
    }

    async fn run_in_namespace(
        &self,
        image: &str,
        target: &str,
        command: Vec<String>,
    ) -> Result<Vec<String>, EngineError> {
        let what = format!("running {} beside container {target}", command.join(" "));
        let body = ContainerCreateBody {
            cmd: Some(command),
            host_config: Some(HostConfig {
                network_mode: Some(format!("container:{target}")),
                ..confined()
            }),
            ..helper(image)
        };
        let id = self.create_from(name(), body).await?;
        let running = async {
            self.start(&id, "a helper").await?;
            let mut ended = std::pin::pin!(self.api.wait_container(&id, None::<WaitContainerOptions>));
            let code = ended.next().await.transpose();
            let output = logs::collect(self.logs(&id, LogOptions::last(SIZE_LIMIT))).await;
            code.map_err(|_| EngineError::Other {
                what: what.clone(),
                reason: output.join("; "),
            })?;
            Ok(output)
        };
        let output = tokio::time::timeout(LIMIT, running).await.unwrap_or_else(|_| {
            Err(EngineError::Other {
                what: what.clone(),
                reason: format!("no end within {} s", LIMIT.as_secs()),
            })
        });
        self.remove(&id).await?;
        output
    }

    /// Runs the work of a helper to its end.
    async fn complete<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, EngineError>> + Send + 'static,
    ) -> Result<T, EngineError> {
        self.creating.spawn(work).await.unwrap_or_else(|error| {
            Err(EngineError::Other {
                what: "running a helper".to_owned(),
                reason: error.to_string(),
            })
        })
    }

    async fn create_helper(&self, image: &str, mount: HelperMount) -> Result<String, EngineError> {
        let (typ, source) = match mount {
            HelperMount::Directory(path) => (MountType::BIND, path),
            HelperMount::Volume(name) => (MountType::VOLUME, name),
        };
        let body = ContainerCreateBody {
            host_config: Some(HostConfig {
                mounts: Some(vec![Mount {
                    target: Some(MOUNT_POINT.to_owned()),
                    source: Some(source),
                    typ: Some(typ),
                    ..Default::default()
                }]),
                ..confined()
            }),
            ..helper(image)
        };
        self.create_from(name(), body).await
    }
}

fn name() -> String {
    format!("service-mesh-helper-{:016x}", rand::random::<u64>())
}

fn helper(image: &str) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(image.to_owned()),
        labels: Some(HashMap::from([(label::HELPER.to_owned(), String::new())])),
        ..Default::default()
    }
}

fn confined() -> HostConfig {
    HostConfig {
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
        ..Default::default()
    }
}

/// The content of the first regular file of an archive.
fn first_file(archive: &[u8]) -> Option<Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let mut file = archive.entries().ok()?.next()?.ok()?;
    let mut content = Vec::new();
    file.read_to_end(&mut content).ok()?;
    Some(content)
}

/// The paths of the regular files of an archive.
fn paths(archive: &[u8]) -> BTreeSet<String> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().into_iter().flatten().map_while(Result::ok);
    let files = entries.filter(|entry| entry.header().entry_type().is_file());
    let path = |path: std::borrow::Cow<'_, std::path::Path>| {
        path.to_string_lossy().trim_start_matches("./").to_owned()
    };
    files.filter_map(|entry| entry.path().ok().map(path)).collect()
}
