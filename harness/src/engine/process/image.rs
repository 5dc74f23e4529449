//! Images: each is a directory named by the digest of its content.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::{EngineError, Image, label};
use super::store::{self, entries, hex};
use super::{Core, Processes, failed, start};

/// The metadata of an image, `image.json`.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    labels: BTreeMap<String, String>,
    /// The size in bytes of the tar that it was made from.
    size: u64,
}

/// A name and the image that it refers to.
#[derive(Debug, Serialize, Deserialize)]
struct Named {
    name: String,
    id: String,
}

impl Processes {
    pub(crate) async fn image(&self, name: &str) -> Result<Option<Image>, EngineError> {
        let name = name.to_owned();
        self.blocking(move |core| {
            let found = core.find_image(&name);
            found.map_err(failed(format!("inspecting image {name}")))
        })
        .await
    }

    /// Of `changes`, only the labels are used.
    pub(crate) async fn import_image(
        &self,
        name: &str,
        tar: Bytes,
        changes: Vec<String>,
    ) -> Result<(), EngineError> {
        let name = name.to_owned();
        self.blocking(move |core| {
            let imported = core.import(&name, &tar, &changes);
            imported.map_err(failed(format!("importing image {name}")))
        })
        .await
    }

    pub(crate) async fn remove_outdated_images(&self) -> Result<(), EngineError> {
        let removing = self.blocking(|core: &Core| {
            let removed = core.remove_outdated();
            removed.map_err(failed("removing outdated images"))
        });
        removing.await
    }
}

impl Core {
    /// The image with this name or id.
    pub(super) fn find_image(&self, name: &str) -> io::Result<Option<Image>> {
        let named: Option<Named> = store::read(&self.name_file(name))?;
        let id = named.map_or_else(|| name.to_owned(), |named| named.id);
        let known = entries(&self.store.images())?;
        let Some((_, directory)) = known.into_iter().find(|(known, _)| *known == id) else {
            return Ok(None);
        };
        let about: Option<About> = store::read(&directory.join("image.json"))?;
        Ok(about.map(|about| Image {
            id,
            labels: about.labels,
            size: about.size,
        }))
    }

    /// The root of an image's file system.
    pub(super) fn image_files(&self, id: &str) -> PathBuf {
        self.store.images().join(id).join("root")
    }

    fn name_file(&self, name: &str) -> PathBuf {
        let whole = if name.contains(':') {
            name.to_owned()
        } else {
            format!("{name}:latest")
        };
        self.store.names().join(hex(&Sha256::digest(whole)))
    }

    fn import(&self, name: &str, tar: &[u8], changes: &[String]) -> io::Result<()> {
        let mut digest = Sha256::new();
        digest.update(format!("{changes:?}"));
        digest.update(tar);
        let id = hex(&digest.finalize());
        let _lock = self.store.lock()?;
        let directory = self.store.images().join(&id);
        if !directory.exists() {
            let fresh = self.store.fresh()?;
            unpack(tar, &fresh.join("root"))?;
            let about = About {
                labels: changes.iter().filter_map(|line| label_of(line)).collect(),
                size: tar.len() as u64,
            };
            self.store.write(&fresh.join("image.json"), &about)?;
            fs::rename(fresh, directory)?;
        }
        let named = Named {
            name: name.to_owned(),
            id,
        };
        self.store.write(&self.name_file(name), &named)
    }

    fn remove_outdated(&self) -> io::Result<()> {
        let _lock = self.store.lock()?;
        let mut used: Vec<String> = Vec::new();
        for (_, file) in entries(&self.store.names())? {
            used.extend(store::read::<Named>(&file)?.map(|named| named.id));
        }
        for (_, record) in self.records()? {
            used.push(record.image_id);
        }
        for (id, directory) in entries(&self.store.images())? {
            let about: Option<About> = store::read(&directory.join("image.json"))?;
            let ours = about.is_some_and(|about| about.labels.contains_key(label::DIGEST));
            if ours && !used.contains(&id) {
                self.store.discard(&directory)?;
            }
        }
        Ok(())
    }
}

fn unpack(tar: &[u8], to: &Path) -> io::Result<()> {
    // A program that any process has open for writing cannot be executed, and a child inherits this process's open
    // files until it executes its own program.
    let _guard = start::no_spawning();
    fs::create_dir(to)?;
    tar::Archive::new(tar).unpack(to)
}

/// The label of a line `LABEL key=value`.
fn label_of(line: &str) -> Option<(String, String)> {
    let (key, value) = line.strip_prefix("LABEL ")?.split_once('=')?;
    Some((key.trim().to_owned(), value.trim().to_owned()))
}
