//! The engines of this machine, and its versions of Compose. Tests that need Docker are skipped, with a message, if it
//! is missing.

use std::fmt::Display;
use std::io::Write;

use anyhow::{Result, bail};
use harness::compose::cli::ComposeCli;
use harness::engine::{Engine, EngineChoice, EngineError};

/// What tests require, separated by commas: `docker`, and `compose` for `docker compose`. Tests fail without it instead
/// of being skipped.
const REQUIRE: &str = "MESH_REQUIRE";

/// Docker. If no engine answers: `None`, and a line on standard error.
///
/// # Errors
/// No engine answers, and `MESH_REQUIRE` has `docker`.
pub async fn docker() -> Result<Option<Engine>> {
    match EngineChoice::Docker.connect().await {
        Ok(chosen) => Ok(Some(chosen.engine)),
        Err(error) if required("docker") => {
            bail!("{REQUIRE} has docker: {error}; {}", error.advice())
        }
        Err(error) => {
            skipped("Docker", &error);
            Ok(None)
        }
    }
}

/// All versions of Compose that are installed. If `docker compose` is missing, a line on standard error.
///
/// # Errors
/// `docker compose` is missing, and `MESH_REQUIRE` has `compose`.
pub async fn compose() -> Result<Vec<ComposeCli>> {
    let installed = ComposeCli::installed().await;
    let missing = "`docker compose` is not installed (Debian 13: apt-get install docker-compose)";
    if !installed
        .iter()
        .any(|program| program.to_string() == "docker compose")
    {
        if required("compose") {
            bail!("{REQUIRE} has compose: {missing}");
        }
        skipped("`docker compose`", &missing);
    }
    Ok(installed)
}

fn required(what: &str) -> bool {
    std::env::var(REQUIRE).is_ok_and(|all| all.split(',').any(|one| one == what))
}

/// Runs a test's body on each engine of this machine.
///
/// # Errors
/// There is no engine, or Docker is required and missing.
pub async fn on_each(body: impl AsyncFn(Engine)) -> Result<()> {
    let mut all: Vec<Engine> = docker().await?.into_iter().collect();
    match EngineChoice::Process.connect().await {
        Ok(chosen) => all.push(chosen.engine),
        Err(error @ EngineError::Unsupported { .. }) if !all.is_empty() => skipped("processes", &error),
        Err(error) => bail!("{error}; {}", error.advice()),
    }
    for engine in all {
        body(engine).await;
    }
    Ok(())
}

/// Writes to standard error directly, because libtest hides the `eprintln` output of a test that passes.
fn skipped(what: &str, reason: &impl Display) {
    let _ = writeln!(std::io::stderr(), "skipped: it needs {what}: {reason}");
}
