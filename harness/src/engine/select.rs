//! Selects the engine that a command uses.

use std::fmt;

use super::{Docker, Engine, EngineError, Processes};

/// The value of `--runtime`.
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

/// The engine that a command uses.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The engine.
    pub engine: Engine,
    /// The reason for the selection, as the end of a sentence.
    pub reason: String,
    /// Why the Docker engine did not answer, if it may exist: its meshes are then not found.
    pub unreachable: Option<EngineError>,
}

impl fmt::Display for Selected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.engine.name(), self.reason)
    }
}

impl EngineChoice {
    /// Connects to the engine of this choice.
    ///
    /// # Errors
    /// It is not available.
    pub async fn connect(self) -> Result<Selected, EngineError> {
        let asked = || "asked for".to_owned();
        match self {
            Self::Auto => match local().await {
                Ok(docker) => {
                    let reason = format!("an engine answers at {}", docker.address());
                    Ok(Selected::new(Engine::Docker(docker), reason))
                }
                Err(error) => fall_back(error),
            },
            Self::Docker => Ok(Selected::new(Engine::Docker(local().await?), asked())),
            Self::Process => Ok(Selected::new(Engine::Process(Processes::open()?), asked())),
        }
    }
}

/// The engine that the docker program uses, if its ports are within reach.
async fn local() -> Result<Docker, EngineError> {
    let docker = Docker::connect().await?;
    match docker.remote() {
        Some(_) => Err(EngineError::Remote {
            address: docker.address(),
        }),
        None => Ok(docker),
    }
}

impl Selected {
    fn new(engine: Engine, reason: String) -> Self {
        Self {
            engine,
            reason,
            unreachable: None,
        }
    }
}

/// Selects processes because Docker is not available. If processes are not supported either, returns Docker's error.
fn fall_back(no_docker: EngineError) -> Result<Selected, EngineError> {
    let reason = no_docker.to_string();
    let Ok(processes) = Processes::open() else {
        return Err(no_docker);
    };
    // Without a socket there is no engine.
    let unreachable = Some(no_docker).filter(|error| !matches!(error, EngineError::NoSocket { .. }));
    Ok(Selected {
        unreachable,
        ..Selected::new(Engine::Process(processes), reason)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn only_an_engine_that_may_exist_counts_as_unreachable() {
        let socket = || "/no/such".to_owned();
        let silent = EngineError::NoEngine {
            address: socket(),
            reason: "there is no such socket".to_owned(),
            advice: "start it".to_owned(),
        };
        let selected = fall_back(silent).unwrap();
        assert!(matches!(selected.unreachable, Some(EngineError::NoEngine { .. })));
        assert!(
            selected
                .to_string()
                .starts_with("process: no Docker engine answers")
        );

        let selected = fall_back(EngineError::NoSocket { socket: socket() }).unwrap();
        assert!(selected.unreachable.is_none());
    }
}
