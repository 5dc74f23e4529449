//! Images: a directory each, named by the digest of what it was made of.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::{EngineError, Image, label};
use super::store::{self, entries, hex};
use super::{Engine, Processes, failed, run};

/// What is known of an image, beside its files.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    labels: BTreeMap<String, String>,
    /// Bytes of the tar that it was made from.
    size: u64,
}

/// A name that an image has.
#[derive(Debug, Serialize, Deserialize)]
struct Named {
    name: String,
    id: String,
}

impl Processes {
    /// The image of this name or id, if there is one.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn image(&self, name: &str) -> Result<Option<Image>, EngineError> {
        let name = name.to_owned();
        self.blocking(move |engine| {
            let found = engine.find_image(&name);
            found.map_err(failed(format!("looking at image {name}")))
        })
        .await
    }

    /// Makes an image called `name` whose file system is `tar`; of `changes`, lines of a Dockerfile, the labels are
    /// taken.
    ///
    /// # Errors
    /// The tar is none, or the system's.
    pub async fn import_image(
        &self,
        name: &str,
        tar: Bytes,
        changes: Vec<String>,
    ) -> Result<(), EngineError> {
        let name = name.to_owned();
        self.blocking(move |engine| {
            let imported = engine.import(&name, &tar, &changes);
            imported.map_err(failed(format!("importing image {name}")))
        })
        .await
    }

    /// Removes images that the harness once made and that lost their name to a later one. Those in use stay.
    ///
    /// # Errors
    /// The system's.
    pub async fn remove_outdated_images(&self) -> Result<(), EngineError> {
        let work = |engine: &Engine| {
            engine
                .remove_outdated()
                .map_err(failed("removing outdated images"))
        };
        self.blocking(work).await
    }
}

impl Engine {
    /// The image of this name or id.
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

    /// Where an image's files are.
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
                labels: changes.iter().filter_map(|line| told_label(line)).collect(),
                size: tar.len() as u64,
            };
            store::write(&fresh.join("image.json"), &about)?;
            fs::rename(fresh, directory)?;
        }
        let named = Named {
            name: name.to_owned(),
            id,
        };
        store::write(&self.name_file(name), &named)
    }

    fn remove_outdated(&self) -> io::Result<()> {
        let _lock = self.store.lock()?;
        let mut used: Vec<String> = Vec::new();
        for (name, file) in entries(&self.store.names())? {
            // What a killed process was writing.
            if name.contains('.') {
                continue;
            }
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
    // A program cannot be run while some process may write to it, and a child that is just being started has all that
    // this process has open.
    let _no_child = run::starting();
    fs::create_dir(to)?;
    tar::Archive::new(tar).unpack(to)
}

/// The label of a line `LABEL key=value`.
fn told_label(line: &str) -> Option<(String, String)> {
    let (key, value) = line.strip_prefix("LABEL ")?.split_once('=')?;
    Some((key.trim().to_owned(), value.trim().to_owned()))
}
