//! Packs an image's content.

use std::path::Path;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::Recipe;

/// A file of the image: path, mode and bytes.
type Entry = (String, u32, Vec<u8>);

/// The image's file system as a tar, and the digest of its content and settings.
pub(super) fn pack(recipe: &Recipe, binaries: &Path, config: &Path) -> std::io::Result<(Bytes, String)> {
    let mut entries: Vec<Entry> = Vec::new();
    for program in recipe.programs {
        entries.push((
            format!("bin/{program}"),
            0o755,
            std::fs::read(binaries.join(program))?,
        ));
    }
    if recipe.config {
        let mut files: Vec<_> = std::fs::read_dir(config)?.collect::<Result<_, _>>()?;
        files.sort_by_key(std::fs::DirEntry::file_name);
        for file in files
            .iter()
            .filter(|file| file.path().extension().is_some_and(|kind| kind == "conf"))
        {
            let name = file.file_name().to_string_lossy().into_owned();
            entries.push((format!("etc/sidecar/{name}"), 0o644, std::fs::read(file.path())?));
        }
    }
    let digest = digest(recipe, &entries);
    Ok((tar(recipe, &entries)?, digest))
}

fn digest(recipe: &Recipe, entries: &[Entry]) -> String {
    let mut hash = Sha256::new();
    // Each length precedes its content, so that moving bytes from one entry to the next changes the digest.
    let links = recipe
        .links
        .iter()
        .map(|(link, target)| format!("{link} -> {target}"));
    let settings = recipe
        .settings
        .iter()
        .map(|line| (*line).to_owned())
        .chain(links)
        .collect::<Vec<_>>()
        .join("\n");
    let parts = entries
        .iter()
        .map(|(path, mode, content)| (format!("{path} {mode:o}"), content.as_slice()));
    for (name, content) in std::iter::once((settings, &[][..])).chain(parts) {
        hash.update(format!("{} {name}\n{}\n", name.len(), content.len()));
        hash.update(content);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn tar(recipe: &Recipe, entries: &[Entry]) -> std::io::Result<Bytes> {
    let mut archive = tar::Builder::new(Vec::new());
    let config: &[&str] = if recipe.config {
        &["etc/", "etc/sidecar/"]
    } else {
        &[]
    };
    for directory in ["bin/"].iter().chain(config) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        archive.append_data(&mut header, directory, std::io::empty())?;
    }
    for (path, mode, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(*mode);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, path, content.as_slice())?;
    }
    for (link, target) in recipe.links {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        archive.append_link(&mut header, link, target)?;
    }
    Ok(archive.into_inner()?.into())
}

#[cfg(test)]
mod tests {
    use super::super::{MESH, NETCUT};
    use super::*;

    fn packed(recipe: &Recipe, change: impl FnOnce(&Path)) -> (Bytes, String) {
        let dir = tempfile::tempdir().unwrap();
        for program in MESH.programs.iter().chain(NETCUT.programs) {
            std::fs::write(dir.path().join(program), program).unwrap();
        }
        std::fs::write(dir.path().join("lb.conf"), "add").unwrap();
        std::fs::write(dir.path().join("notes.txt"), "not for the image").unwrap();
        change(dir.path());
        pack(recipe, dir.path(), dir.path()).unwrap()
    }

    #[test]
    fn only_equal_content_has_an_equal_digest() {
        let (tar, same) = packed(&MESH, |_| {});
        assert_eq!(packed(&MESH, |_| {}), (tar, same.clone()));
        assert_ne!(
            packed(&MESH, |dir| std::fs::write(dir.join("sidecar"), "other").unwrap()).1,
            same
        );
        assert_ne!(
            packed(&MESH, |dir| std::fs::rename(
                dir.join("lb.conf"),
                dir.join("a.conf")
            )
            .unwrap())
            .1,
            same
        );
        assert_eq!(
            packed(&MESH, |dir| std::fs::write(dir.join("notes.txt"), "other")
                .unwrap())
            .1,
            same
        );
    }

    fn content(recipe: &Recipe) -> Vec<(String, u32)> {
        let (bytes, _) = packed(recipe, |_| {});
        let mut archive = tar::Archive::new(bytes.as_ref());
        let entries = archive.entries().unwrap().map(Result::unwrap);
        entries
            .map(|entry| {
                let path = entry.path().unwrap().to_string_lossy().into_owned();
                (path, entry.header().mode().unwrap())
            })
            .collect()
    }

    #[test]
    fn the_tar_has_executable_programs_and_readable_config_files() {
        let expected = [
            ("bin/", 0o755),
            ("etc/", 0o755),
            ("etc/sidecar/", 0o755),
            ("bin/sidecar", 0o755),
            ("bin/example-services", 0o755),
            ("etc/sidecar/lb.conf", 0o644),
            ("bin/frontend", 0o777),
            ("bin/service", 0o777),
        ];
        assert_eq!(
            content(&MESH),
            expected.map(|(path, mode)| (path.to_owned(), mode))
        );
        let expected = [("bin/", 0o755), ("bin/netcut", 0o755)];
        assert_eq!(
            content(&NETCUT),
            expected.map(|(path, mode)| (path.to_owned(), mode))
        );
    }

    #[test]
    fn the_digest_covers_settings_and_links() {
        let digest = |recipe: &Recipe| packed(recipe, |_| {}).1;
        let other_user = Recipe {
            settings: &["USER 1:1"],
            ..MESH
        };
        let no_links = Recipe { links: &[], ..MESH };
        assert_ne!(digest(&other_user), digest(&MESH));
        assert_ne!(digest(&no_links), digest(&MESH));
    }
}
