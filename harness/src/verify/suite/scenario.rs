//! What a scenario is.

use futures_util::future::LocalBoxFuture;

use super::Stage;
use crate::error::Error;

/// One check of a mesh.
pub struct Scenario {
    /// Its name: that of its file.
    pub name: &'static str,
    /// What holds when it passes.
    pub about: &'static str,
    /// What it cannot do without.
    pub needs: Needs,
    /// Parts of those WARN and ERROR lines that it brings about on purpose.
    pub allows: &'static [&'static str],
    /// The check itself.
    pub run: for<'a> fn(&'a mut Stage) -> LocalBoxFuture<'a, Result<(), Error>>,
}

/// What a scenario cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// A Docker engine runs the containers.
    pub docker: bool,
    /// There is a Compose program: `docker compose` or `docker-compose`.
    pub compose: bool,
}

impl Needs {
    /// Any runtime will do.
    pub const NOTHING: Self = Self {
        docker: false,
        compose: false,
    };
    /// Docker.
    pub const DOCKER: Self = Self {
        docker: true,
        compose: false,
    };
    /// Docker and Compose.
    pub const COMPOSE: Self = Self {
        docker: true,
        compose: true,
    };

    /// In a word for each; empty where it needs nothing.
    pub fn words(self) -> Vec<&'static str> {
        let all = [(self.docker, "docker"), (self.compose, "compose")];
        all.into_iter()
            .filter_map(|(needed, word)| needed.then_some(word))
            .collect()
    }
}
