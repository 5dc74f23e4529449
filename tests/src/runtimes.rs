//! The runtimes that this machine has. Docker may be missing: what needs it is skipped then, and says so.

use std::io::Write;

use anyhow::{Result, bail};
use harness::engine::{Engine, EngineChoice, EngineError};

/// Set to `docker`, it makes a test fail that would be skipped for lack of Docker.
const REQUIRE: &str = "MESH_REQUIRE";

/// Docker, or nothing where no engine answers, which is told on standard error.
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

/// Runs a test's body on each runtime that this machine has.
///
/// # Errors
/// It has none, or lacks Docker where that is required.
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

/// Not through `eprintln`, which libtest keeps to itself for a test that passes.
fn skipped(what: &str, reason: &EngineError) {
    let _ = writeln!(std::io::stderr(), "skipped: it needs {what}: {reason}");
}
