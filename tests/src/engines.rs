//! The engines of this machine. Tests that need Docker are skipped, with a message, if it is missing.

use std::io::Write;

use anyhow::{Result, bail};
use harness::engine::{Engine, EngineChoice, EngineError};

/// If this variable is `docker`, tests fail without Docker instead of being skipped.
const REQUIRE: &str = "MESH_REQUIRE";

/// Docker. If no engine answers: `None`, and a line on standard error.
///
/// # Errors
/// No engine answers, and `MESH_REQUIRE` is `docker`.
pub async fn docker() -> Result<Option<Engine>> {
    match EngineChoice::Docker.connect().await {
        Ok(chosen) => Ok(Some(chosen.engine)),
        Err(error) if std::env::var(REQUIRE).is_ok_and(|what| what == "docker") => {
            bail!("{REQUIRE} is docker: {error}; {}", error.advice())
        }
        Err(error) => {
            skipped("Docker", &error);
            Ok(None)
        }
    }
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
fn skipped(what: &str, reason: &EngineError) {
    let _ = writeln!(std::io::stderr(), "skipped: it needs {what}: {reason}");
}
