//! The `harness` program: built once for all tests of a process, and run to its end.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;
use tokio::sync::OnceCell;

/// Time that building everything may take on a slow machine.
const BUILD_LIMIT: Duration = Duration::from_secs(1200);

static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();

/// How a command ended and what it said.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
}

/// The program's path where it was built already.
pub(crate) fn path() -> Option<&'static PathBuf> {
    PROGRAM.get()
}

/// Builds the program and the image. A package's tests are given the paths of its own programs only, so this asks
/// cargo for another package's.
pub(crate) async fn built() -> Result<&'static PathBuf> {
    PROGRAM.get_or_try_init(build).await
}

async fn build() -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([
        "build",
        "--quiet",
        "-p",
        "harness",
        "--bin",
        "harness",
        "--message-format",
        "json",
    ]);
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let built = finish(cargo, BUILD_LIMIT).await?;
    ensure!(
        built.code == Some(0),
        "the harness does not compile:\n{}",
        built.errors
    );
    let messages = built
        .output
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut programs = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    let program = programs.next_back().context("cargo names no program")?;

    // The first start makes the image, which takes minutes; no test should wait for that within its own limits.
    let checkout = harness::checkout::Checkout::find()?;
    let docker = crate::docker().await?;
    let image = checkout.topology("example")?.image;
    harness::image::ensure(
        &docker,
        checkout.root(),
        &image,
        &harness::report::Progress::silent(),
    )
    .await?;
    Ok(program)
}

/// Runs a command to its end.
pub(crate) async fn finish(mut command: Command, limit: Duration) -> Result<Finished> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let told = format!("{:?}", command.as_std());
    let running = command
        .spawn()
        .with_context(|| format!("{told} cannot be run"))?
        .wait_with_output();
    let output = tokio::time::timeout(limit, running)
        .await
        .with_context(|| format!("{told} takes too long"))??;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Finished {
        code: output.status.code(),
        output: text(output.stdout),
        errors: text(output.stderr),
    })
}
