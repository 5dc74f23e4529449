//! Compiles static programs with Cargo.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::Recipe;
use super::cargo_output::{CargoOutput, PROGRESS};
use crate::cluster::checkout::Checkout;
use crate::cluster::file_lock::FileLock;
use crate::console::Progress;
use crate::error::Error;

/// Compiled programs.
pub(super) struct Compiled {
    /// The directory that contains them. No other recipe's programs are put there.
    pub(super) directory: PathBuf,
    /// Whether nothing had to be compiled.
    pub(super) fresh: bool,
}

/// Static, because the image contains no libraries. At a fixed address, because a relocatable program applies
/// relocations when it starts, and each page that it modifies becomes private memory of the process. Poly1305 without AVX2,
/// as `.cargo/config.toml` explains.
const FLAGS: [&str; 3] = [
    "-Ctarget-feature=+crt-static",
    "-Crelocation-model=static",
    "--cfg=poly1305_backend=\"soft\"",
];

/// Compiles the programs of an image.
pub(super) async fn compile(
    checkout: &Checkout,
    recipe: &'static Recipe,
    progress: &Progress,
) -> Result<Compiled, Error> {
    let advice = recipe.advice;
    if !cfg!(target_os = "linux") {
        let what = "the image's programs are Linux programs, and this is another system";
        return Err(Error::environment(what, advice));
    }
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let cannot = |error: std::io::Error| Error::environment(format!("cannot run cargo: {error}"), advice);
    let unusable = |error: std::io::Error| {
        let what = format!("the image's programs cannot be stored: {error}");
        Error::environment(what, "run the command again")
    };
    // A target directory of its own, so that the user's builds and this one do not wait for each other's lock.
    let directory = checkout.target().join("image");
    std::fs::create_dir_all(&directory).map_err(unusable)?;
    // Cargo gives the programs of all recipes with a profile the same path. The lock is held until they are copied.
    progress.note("waiting for the lock on the build directory");
    let _lock = FileLock::acquire(&directory.join("programs.lock"))
        .await
        .map_err(unusable)?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command
        .args([
            "build",
            "--bins",
            "--profile",
            recipe.profile,
            "--target",
            &target,
        ])
        .args(recipe.packages.iter().flat_map(|package| ["-p", *package]))
        .args(
            recipe
                .features
                .iter()
                .flat_map(|feature| ["--features", *feature]),
        )
        .arg("--target-dir")
        .arg(&directory)
        .current_dir(checkout.root())
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_BUILD_RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"))
        .env("CARGO_TERM_COLOR", "never")
        .envs(PROGRESS)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut cargo = command.spawn().map_err(cannot)?;
    let mut output = CargoOutput::default();
    if let Some(stderr) = cargo.stderr.take() {
        read(stderr, &mut output, progress).await.map_err(cannot)?;
    }
    let status = cargo.wait().await.map_err(cannot)?;
    if !status.success() {
        return Err(Error::environment(
            format!("the image's programs do not compile:\n{}", output.tail()),
            advice,
        ));
    }
    let built = directory.join(target).join(recipe.profile);
    let copies = directory.join("programs").join(recipe.name);
    let compiled = Compiled {
        directory: copies.clone(),
        fresh: !output.compiled,
    };
    tokio::task::spawn_blocking(move || copy(recipe.programs, &built, &copies))
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(unusable)?;
    Ok(compiled)
}

/// Copies programs. Each replaces its predecessor at once, which may be running.
fn copy(programs: &[&str], from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for program in programs {
        let new = to.join(format!("{program}.new"));
        std::fs::copy(from.join(program), &new)?;
        std::fs::rename(new, to.join(program))?;
    }
    Ok(())
}

/// Reads Cargo's output to its end, and shows its progress.
async fn read(
    mut stderr: impl AsyncRead + Unpin,
    output: &mut CargoOutput,
    progress: &Progress,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut ended = false;
    while !ended {
        ended = stderr.read_buf(&mut bytes).await? == 0;
        if ended && !bytes.is_empty() {
            bytes.push(b'\n');
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
            let line: Vec<u8> = bytes.drain(..=end).collect();
            if let Some(note) = output.line(&String::from_utf8_lossy(&line[..end])) {
                progress.note(&note);
            }
        }
    }
    Ok(())
}
