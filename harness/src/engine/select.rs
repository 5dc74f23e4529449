//! Which runtime a command uses, and why.

use std::fmt;

use super::{Docker, Engine, EngineError, Processes, label};
use crate::cluster::project;
use crate::error::Error;

/// What the user asks for with `--runtime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum EngineChoice {
    /// Docker if an engine answers, otherwise processes
    #[default]
    Auto,
    /// Containers on the Docker Engine
    Docker,
    /// Processes on this machine, each node on its own loopback address
    Process,
}

/// The runtime that a command uses.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The runtime.
    pub engine: Engine,
    /// Why it is this one, as a sentence's end.
    pub why: String,
    /// Why an engine could not be asked that may be there and run meshes; nothing is known of those.
    pub unseen: Option<EngineError>,
}

impl fmt::Display for Selected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.engine.name(), self.why)
    }
}

impl EngineChoice {
    /// Connects to the runtime that is asked for.
    ///
    /// # Errors
    /// It is not there.
    pub async fn connect(self) -> Result<Selected, EngineError> {
        let asked = || "asked for".to_owned();
        match self {
            Self::Auto => match Docker::connect().await {
                Ok(docker) => {
                    let why = format!("an engine answers at {}", docker.socket());
                    Ok(Selected::new(Engine::Docker(docker), why))
                }
                Err(lacking) => processes(lacking),
            },
            Self::Docker => Ok(Selected::new(Engine::Docker(Docker::connect().await?), asked())),
            Self::Process => Ok(Selected::new(Engine::Process(Processes::open()?), asked())),
        }
    }

    /// Connects to the runtime in which there is something of `project`; to the one that is asked for where there is
    /// nothing, or where one is named.
    ///
    /// # Errors
    /// As [`Choice::connect`], or the engine's.
    pub async fn connect_to(self, project: &str) -> Result<Selected, EngineError> {
        let chosen = self.connect().await?;
        if self != Self::Auto || matches!(chosen.engine, Engine::Process(_)) {
            return Ok(chosen);
        }
        let filter = format!("{}={project}", label::PROJECT);
        let Ok(processes) = Processes::open() else {
            return Ok(chosen);
        };
        let only_there = chosen.engine.containers(&filter).await?.is_empty()
            && !processes.containers(&filter).await?.is_empty();
        if only_there {
            let why = format!("the mesh `{project}` runs there");
            return Ok(Selected::new(Engine::Process(processes), why));
        }
        Ok(chosen)
    }
}

impl Selected {
    fn new(engine: Engine, why: String) -> Self {
        Self {
            engine,
            why,
            unseen: None,
        }
    }

    /// What to say where there is nothing of `project`: that there is none, or that it would not have been seen.
    pub fn nothing_of(self, project: &str) -> Error {
        match self.unseen {
            Some(unseen) => Error::environment(
                format!(
                    "{unseen}\nonly processes were looked at, and there is no mesh `{project}` among them"
                ),
                format!(
                    "{}; or ask for processes only (--runtime process)",
                    unseen.advice()
                ),
            ),
            None => no_mesh(project),
        }
    }
}

/// Where a mesh was looked for and none is.
pub fn no_mesh(name: &str) -> Error {
    Error::environment(
        format!("there is no mesh `{name}`"),
        format!("start it with `{}`", project::command("up", name)),
    )
}

/// Processes, because there is no Docker; where they do not run either, that there is no Docker is what to tell.
fn processes(lacking: EngineError) -> Result<Selected, EngineError> {
    let why = lacking.to_string();
    let Ok(processes) = Processes::open() else {
        return Err(lacking);
    };
    // Without a socket there is no engine that could run anything.
    let unseen = Some(lacking).filter(|lacking| !matches!(lacking, EngineError::NoSocket { .. }));
    Ok(Selected {
        unseen,
        ..Selected::new(Engine::Process(processes), why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn nothing_is_said_of_meshes_on_an_engine_that_could_not_be_asked() {
        let socket = || "/no/such".to_owned();
        let reason = || "there is no such socket".to_owned();
        let silent = EngineError::NoEngine {
            socket: socket(),
            reason: reason(),
        };
        let told = processes(silent).unwrap().nothing_of("m").to_string();
        assert!(told.contains("no Docker engine answers at /no/such"), "{told}");
        assert!(told.contains("only processes were looked at"), "{told}");

        let none = EngineError::NoSocket { socket: socket() };
        let told = processes(none).unwrap().nothing_of("m").to_string();
        assert!(told.starts_with("there is no mesh `m`"), "{told}");
    }
}
