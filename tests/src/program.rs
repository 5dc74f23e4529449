//! Builds and runs other packages' programs; the `harness` is built once per test process.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::engine::EngineChoice;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;

/// Timeout for building everything on a slow machine.
const BUILD_LIMIT: Duration = Duration::from_secs(1200);
/// Timeout for one command, whose programs and images have been built before.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);

static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();

/// The exit code and the output of a command.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
}

/// The program's path, if it has been built.
pub(crate) fn path() -> Option<&'static PathBuf> {
    PROGRAM.get()
}

/// Builds the program, and the image for each engine.
pub(crate) async fn built() -> Result<&'static PathBuf> {
    PROGRAM.get_or_try_init(build).await
}

/// Compiles another package's program and returns its path. Cargo provides tests with the paths of their own package's
/// programs only.
///
/// # Errors
/// It does not compile.
pub async fn compiled(package: &str) -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([
        "build",
        "--quiet",
        "-p",
        package,
        "--bin",
        package,
        "--message-format",
        "json",
    ]);
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let built = finish(cargo, BUILD_LIMIT).await?;
    ensure!(
        built.code == Some(0),
        "{package} does not compile:\n{}",
        built.errors
    );
    let messages = built
        .output
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut programs = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    programs.next_back().context("cargo names no program")
}

async fn build() -> Result<PathBuf> {
    let program = compiled("harness").await?;
    // Built in advance: building the image takes longer than the tests' timeouts.
    let checkout = harness::cluster::checkout::Checkout::find()?;
    let image = checkout.topology("example")?.image;
    for choice in [EngineChoice::Docker, EngineChoice::Process] {
        // An error is ignored: the tests that need an engine report it.
        if let Ok(chosen) = choice.connect().await {
            let silent = harness::console::Progress::silent();
            let kind = harness::cluster::image::Kind::Mesh;
            harness::cluster::image::ensure(&chosen.engine, &checkout, kind, &image, &silent).await?;
        }
    }
    Ok(program)
}

/// Starts a command with empty input and both outputs piped for [`finished`].
pub(crate) fn spawn(mut command: Command) -> Result<Child> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let line = format!("{:?}", command.as_std());
    command.spawn().with_context(|| format!("{line} cannot be run"))
}

/// Runs a command until it exits.
pub(crate) async fn finish(command: Command, limit: Duration) -> Result<Finished> {
    let line = format!("{:?}", command.as_std());
    ended(spawn(command)?, limit).await.with_context(|| line)
}

/// Reads a child's output and waits for its exit.
///
/// # Errors
/// It takes too long.
pub async fn finished(child: Child) -> Result<Finished> {
    ended(child, LIMIT).await
}

async fn ended(child: Child, limit: Duration) -> Result<Finished> {
    let output = tokio::time::timeout(limit, child.wait_with_output())
        .await
        .context("it takes too long")??;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Finished {
        code: output.status.code(),
        output: text(output.stdout),
        errors: text(output.stderr),
    })
}
