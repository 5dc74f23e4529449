//! The definition of a scenario.

use futures_util::future::LocalBoxFuture;

use super::Context;
use crate::error::Error;

/// An end-to-end check of a mesh.
pub struct Scenario {
    /// Its file's name, without the extension.
    pub name: &'static str,
    /// The property that it checks, as a clause without a full stop.
    pub about: &'static str,
    /// What it requires of the machine.
    pub requires: Requirements,
    /// Substrings of the WARN and ERROR log lines that it provokes; any other such line fails it.
    pub allows: &'static [&'static str],
    /// The check.
    pub run: for<'a> fn(&'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>>,
}

/// What a scenario requires of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirements {
    /// The containers run on Docker.
    pub docker: bool,
    /// `docker compose` or `docker-compose` is installed.
    pub compose: bool,
}

impl Requirements {
    /// Any engine.
    pub const NOTHING: Self = Self {
        docker: false,
        compose: false,
    };
    /// The Docker engine.
    pub const DOCKER: Self = Self {
        docker: true,
        compose: false,
    };
    /// The Docker engine and Compose.
    pub const COMPOSE: Self = Self {
        docker: true,
        compose: true,
    };

    /// One word for each requirement.
    pub fn words(self) -> Vec<&'static str> {
        let all = [(self.docker, "docker"), (self.compose, "compose")];
        all.into_iter()
            .filter_map(|(needed, word)| needed.then_some(word))
            .collect()
    }
}
