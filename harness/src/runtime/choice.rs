//! Which runtime a command uses, and why.

use std::fmt;

use super::{Docker, Runtime, RuntimeError};

/// What the user asks for with `--runtime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Choice {
    /// Whatever is there
    #[default]
    Auto,
    /// Containers of the Docker Engine
    Docker,
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
        let docker = Docker::connect().await?;
        let why = match self {
            Self::Auto => format!("an engine answers at {}", docker.socket()),
            Self::Docker => "asked for".to_owned(),
        };
        Ok(Chosen {
            runtime: Runtime::Docker(docker),
            why,
        })
    }
}
