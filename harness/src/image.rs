//! The image of all five containers: static binaries, compiled here and sent to the engine, so that no registry is
//! needed. The same content as `compose/Dockerfile` makes.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::error::Error;
use crate::report::Progress;
use crate::runtime::{Image, Runtime, label};

const PROGRAMS: [&str; 2] = ["sidecar", "example-services"];
/// Names under which the examples' one file is two programs.
const LINKS: [(&str, &str); 2] = [
    ("bin/frontend", "example-services"),
    ("bin/service", "example-services"),
];
const SETTINGS: [&str; 3] = [
    "ENV PATH=/bin",
    "USER 65534:65534",
    r#"ENTRYPOINT ["/bin/sidecar"]"#,
];
/// Lines of the compiler's output that are kept to show when it fails.
const KEPT_LINES: usize = 60;

/// An image that is ready to be run.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The image.
    pub image: Image,
    /// Whether it was there already.
    pub cached: bool,
}

/// What goes into the image: where it stands there, its mode, and its bytes.
type Entry = (String, u32, Vec<u8>);

/// Takes the image called `name` as it is.
///
/// # Errors
/// There is none.
pub async fn existing(runtime: &Runtime, name: &str) -> Result<Ready, Error> {
    match runtime.image(name).await? {
        Some(image) => Ok(Ready { image, cached: true }),
        None => Err(Error::environment(
            format!("there is no image {name}, and --no-build was given"),
            format!("leave --no-build out, or build it: docker build -f compose/Dockerfile -t {name} ."),
        )),
    }
}

/// Compiles what the image called `name` is made of, and makes the image unless an equal one is there.
///
/// # Errors
/// It cannot be compiled here, or the engine's.
pub async fn ensure(runtime: &Runtime, root: &Path, name: &str, progress: &Progress) -> Result<Ready, Error> {
    let binaries = compile(root, progress).await?;
    let config = root.join("compose/config");
    let (tar, digest) = tokio::task::spawn_blocking(move || pack(&binaries, &config))
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(|error| {
            Error::environment(
                format!("the image's content cannot be read: {error}"),
                "run the command again",
            )
        })?;
    let known = runtime.image(name).await?;
    if let Some(image) = known.filter(|image| image.labels.get(label::DIGEST) == Some(&digest)) {
        return Ok(Ready { image, cached: true });
    }
    progress.note("sending it to the engine");
    let mut changes: Vec<String> = SETTINGS.map(str::to_owned).into();
    changes.push(format!("LABEL {}={digest}", label::DIGEST));
    runtime.import_image(name, tar, changes).await?;
    runtime.remove_outdated_images().await?;
    Ok(Ready {
        cached: false,
        ..existing(runtime, name).await?
    })
}

/// Compiles the programs static and answers with where they are.
async fn compile(root: &Path, progress: &Progress) -> Result<PathBuf, Error> {
    let advice = "correct what the compiler says, or build the image elsewhere (docker build -f compose/Dockerfile -t \
                  service-mesh-example .) and run with --no-build";
    if !cfg!(target_os = "linux") {
        let what = "the image's programs are Linux programs, and this is another system";
        return Err(Error::environment(what, advice));
    }
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    // A directory of its own: flags that differ from the user's build would make each undo the other's work.
    let base = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let directory = root.join(base).join("image");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command
        .args([
            "build",
            "--release",
            "--target",
            &target,
            "-p",
            "sidecar",
            "-p",
            "example-services",
            "--bins",
        ])
        .arg("--target-dir")
        .arg(&directory)
        .current_dir(root)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_BUILD_RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let cannot = |error: std::io::Error| Error::environment(format!("cargo cannot be run: {error}"), advice);
    let mut cargo = command.spawn().map_err(cannot)?;
    let mut kept = VecDeque::new();
    if let Some(stderr) = cargo.stderr.take() {
        let mut lines = BufReader::new(stderr).lines();
        while let Some(line) = lines.next_line().await.map_err(cannot)? {
            progress.note(line.trim());
            if kept.len() == KEPT_LINES {
                kept.pop_front();
            }
            kept.push_back(line);
        }
    }
    let status = cargo.wait().await.map_err(cannot)?;
    if status.success() {
        return Ok(directory.join(target).join("release"));
    }
    let output = Vec::from(kept).join("\n");
    Err(Error::environment(
        format!("the image's programs do not compile:\n{output}"),
        advice,
    ))
}

/// The image's file system as a tar, and the digest of all that makes the image what it is.
fn pack(binaries: &Path, config: &Path) -> std::io::Result<(Bytes, String)> {
    let mut entries: Vec<Entry> = Vec::new();
    for program in PROGRAMS {
        entries.push((
            format!("bin/{program}"),
            0o755,
            std::fs::read(binaries.join(program))?,
        ));
    }
    let mut files: Vec<_> = std::fs::read_dir(config)?.collect::<Result<_, _>>()?;
    files.sort_by_key(std::fs::DirEntry::file_name);
    for file in files
        .iter()
        .filter(|file| file.path().extension().is_some_and(|kind| kind == "conf"))
    {
        let name = file.file_name().to_string_lossy().into_owned();
        entries.push((format!("etc/sidecar/{name}"), 0o644, std::fs::read(file.path())?));
    }
    let digest = digest(&entries);
    Ok((tar(&entries)?, digest))
}

fn digest(entries: &[Entry]) -> String {
    let mut hash = Sha256::new();
    // Lengths come before contents, so that bytes cannot move from one entry to the next unnoticed.
    let links = LINKS.map(|(link, target)| format!("{link} -> {target}"));
    let settings = SETTINGS
        .into_iter()
        .chain(links.iter().map(String::as_str))
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

fn tar(entries: &[Entry]) -> std::io::Result<Bytes> {
    let mut archive = tar::Builder::new(Vec::new());
    for directory in ["bin/", "etc/", "etc/sidecar/"] {
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
    for (link, target) in LINKS {
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
    use super::*;

    fn packed(change: impl FnOnce(&Path)) -> (Bytes, String) {
        let dir = tempfile::tempdir().unwrap();
        for program in PROGRAMS {
            std::fs::write(dir.path().join(program), program).unwrap();
        }
        std::fs::write(dir.path().join("lb.conf"), "add").unwrap();
        std::fs::write(dir.path().join("notes.txt"), "not for the image").unwrap();
        change(dir.path());
        pack(dir.path(), dir.path()).unwrap()
    }

    #[test]
    fn equal_content_has_an_equal_digest_and_any_change_another() {
        let (tar, same) = packed(|_| {});
        assert_eq!(packed(|_| {}), (tar, same.clone()));
        assert_ne!(
            packed(|dir| std::fs::write(dir.join("sidecar"), "other").unwrap()).1,
            same
        );
        assert_ne!(
            packed(|dir| std::fs::rename(dir.join("lb.conf"), dir.join("a.conf")).unwrap()).1,
            same
        );
        assert_eq!(
            packed(|dir| std::fs::write(dir.join("notes.txt"), "other").unwrap()).1,
            same
        );
    }

    #[test]
    fn the_tar_holds_programs_that_may_be_run_and_readable_settings() {
        let (bytes, _) = packed(|_| {});
        let mut archive = tar::Archive::new(bytes.as_ref());
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            found.push((path, entry.header().mode().unwrap()));
        }
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
        assert_eq!(found, expected.map(|(path, mode)| (path.to_owned(), mode)));
    }
}
