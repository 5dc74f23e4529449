//! The flags shared by commands: the mesh's name and the runtime.

use clap::Args;
use harness::cluster::checkout::Checkout;
use harness::cluster::mesh::Mesh;
use harness::cluster::project::{self, Located};
use harness::cluster::topology::Topology;
use harness::engine::EngineChoice;
use harness::error::Error;

/// Flags of commands that operate on a named mesh.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct MeshArgs {
    /// Name of the mesh: its Compose project and the prefix of its container names
    /// [default: Compose's, that is $COMPOSE_PROJECT_NAME, $MESH_NAME or example]
    #[arg(short = 'p', long = "project", value_name = "NAME", value_parser = valid)]
    pub(super) project: Option<String>,
    #[command(flatten)]
    pub(super) engine: EngineArgs,
}

/// Flags of commands that start a private mesh.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(super) struct EngineArgs {
    /// Runtime of the nodes [default: auto]
    #[arg(long = "runtime", value_name = "RUNTIME", value_enum)]
    pub(super) runtime: Option<EngineChoice>,
}

/// The [`MeshArgs`] that may precede a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepts {
    Nothing,
    Engine,
    Mesh,
}

impl EngineArgs {
    /// The runtime given after the command, otherwise the one given before it.
    pub(super) fn choice(self, before: &MeshArgs) -> EngineChoice {
        self.runtime.or(before.engine.runtime).unwrap_or_default()
    }
}

impl MeshArgs {
    /// These flags; each missing one is taken from `before`, the flags that precede the command.
    pub(super) fn or(self, before: Self) -> Self {
        Self {
            engine: EngineArgs {
                runtime: self.engine.runtime.or(before.engine.runtime),
            },
            project: self.project.or(before.project),
        }
    }

    /// The runtime.
    pub(super) fn choice(&self) -> EngineChoice {
        self.engine.runtime.unwrap_or_default()
    }

    /// The mesh's name.
    pub(super) fn name(&self) -> Result<String, Error> {
        if let Some(name) = &self.project {
            return Ok(name.clone());
        }
        valid(&project::default_name()?).map_err(|invalid| {
            Error::environment(
                invalid,
                "set another MESH_NAME (or COMPOSE_PROJECT_NAME), or name the mesh with -p",
            )
        })
    }

    /// Attaches to the running mesh.
    ///
    /// # Errors
    /// It is not running, or the engine fails.
    pub(super) async fn attach(&self) -> Result<Mesh, Error> {
        let (topology, located) = self.locate().await?;
        if located.resources.containers.is_empty() {
            return Err(located.not_found(&topology).await?);
        }
        Mesh::attach(&located.selected.engine, topology).await
    }

    /// Looks for the mesh.
    ///
    /// # Errors
    /// Its Compose file is malformed, or the engine fails.
    pub(super) async fn locate(&self) -> Result<(Topology, Located), Error> {
        let topology = Checkout::find()?.topology(&self.name()?)?;
        let located = project::locate(self.choice(), &topology).await?;
        Ok((topology, located))
    }

    /// Refuses flags before a command that does not accept them.
    pub(super) fn check_accepted(&self, accepts: Accepts) -> Result<(), Error> {
        let refused = |flag: &str, why: &str| {
            let what = format!("{flag} precedes a command that {why}");
            Err(Error::environment(what, format!("remove {flag}")))
        };
        if self.project.is_some() && accepts != Accepts::Mesh {
            return refused("-p", "uses a private mesh or none");
        }
        if self.engine.runtime.is_some() && accepts == Accepts::Nothing {
            return refused("--runtime", "runs no mesh");
        }
        Ok(())
    }
}

/// Checks a project name against Compose's rule.
pub(super) fn valid(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let valid =
        text.starts_with(plain) && text.chars().all(|c| plain(c) || c == '-' || c == '_') && text.len() <= 40;
    let expected = || {
        format!(
            "project name `{text}`: expected 1 to 40 characters of a-z, 0-9, - and _, starting with a letter or digit"
        )
    };
    if valid {
        Ok(text.to_owned())
    } else {
        Err(expected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_names_follow_composes_rule() {
        for name in ["example", "a", "mesh-2_x"] {
            assert_eq!(valid(name).as_deref(), Ok(name));
        }
        for name in ["", "-a", "Upper", "dot.ted", "sp ace", &"x".repeat(41)] {
            assert!(valid(name).is_err(), "{name}");
        }
    }

    #[test]
    fn flags_before_a_command_that_does_not_accept_them_are_refused() {
        let named = MeshArgs {
            project: Some("m".to_owned()),
            ..MeshArgs::default()
        };
        assert!(named.check_accepted(Accepts::Mesh).is_ok());
        assert!(named.check_accepted(Accepts::Engine).is_err());
        let engine = EngineArgs {
            runtime: Some(EngineChoice::Docker),
        };
        let chosen = MeshArgs {
            engine,
            ..MeshArgs::default()
        };
        assert!(chosen.check_accepted(Accepts::Engine).is_ok());
        assert!(chosen.check_accepted(Accepts::Nothing).is_err());
        assert_eq!(EngineArgs::default().choice(&chosen), EngineChoice::Docker);
        assert_eq!(chosen.or(named).name().ok().as_deref(), Some("m"));
    }
}
