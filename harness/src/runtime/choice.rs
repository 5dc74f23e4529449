//! Which runtime a command uses, and why.

use std::fmt;

use super::{Docker, Processes, Runtime, RuntimeError, label};

/// What the user asks for with `--runtime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Choice {
    /// Docker where an engine answers, else processes
    #[default]
    Auto,
    /// Containers of the Docker Engine
    Docker,
    /// Processes of this machine, each node on a loopback address of its own
    Process,
}

/// The runtime that a command uses.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The runtime.
    pub runtime: Runtime,
    /// Why it is this one, as a sentence's end.
    pub why: String,
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.runtime.name(), self.why)
    }
}

impl Choice {
    /// Connects to the runtime that is asked for.
    ///
    /// # Errors
    /// It is not there.
    pub async fn connect(self) -> Result<Chosen, RuntimeError> {
        let asked = || "asked for".to_owned();
        match self {
            Self::Auto => match Docker::connect().await {
                Ok(docker) => {
                    let why = format!("an engine answers at {}", docker.socket());
                    Ok(Chosen::new(Runtime::Docker(docker), why))
                }
                Err(lacking) => processes(lacking),
            },
            Self::Docker => Ok(Chosen::new(Runtime::Docker(Docker::connect().await?), asked())),
            Self::Process => Ok(Chosen::new(Runtime::Process(Processes::open()?), asked())),
        }
    }

    /// Connects to the runtime in which there is something of `project`; to the one that is asked for where there is
    /// nothing, or where one is named.
    ///
    /// # Errors
    /// As [`Choice::connect`], or the engine's.
    pub async fn connect_to(self, project: &str) -> Result<Chosen, RuntimeError> {
        let chosen = self.connect().await?;
        if self != Self::Auto || matches!(chosen.runtime, Runtime::Process(_)) {
            return Ok(chosen);
        }
        let filter = format!("{}={project}", label::PROJECT);
        let Ok(processes) = Processes::open() else {
            return Ok(chosen);
        };
        let only_there = chosen.runtime.containers(&filter).await?.is_empty()
            && !processes.containers(&filter).await?.is_empty();
        if only_there {
            let why = format!("the mesh `{project}` runs there");
            return Ok(Chosen::new(Runtime::Process(processes), why));
        }
        Ok(chosen)
    }
}

impl Chosen {
    fn new(runtime: Runtime, why: String) -> Self {
        Self { runtime, why }
    }
}

/// Processes, because there is no Docker; where they do not run either, that there is no Docker is what to tell.
fn processes(lacking: RuntimeError) -> Result<Chosen, RuntimeError> {
    let why = lacking.to_string();
    match Processes::open() {
        Ok(processes) => Ok(Chosen::new(Runtime::Process(processes), why)),
        Err(_) => Err(lacking),
    }
}
