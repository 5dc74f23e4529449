//! Which mesh a command is about, and what runs it.

use clap::Args;
use harness::cluster::project;
use harness::engine::EngineChoice;
use harness::error::Error;

/// For commands about a mesh that is named.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Place {
    /// The mesh's name: its Compose project and the prefix of its container names [default: $MESH_NAME or example]
    #[arg(short = 'p', long = "project", value_name = "NAME", value_parser = valid)]
    pub(super) project: Option<String>,
    #[command(flatten)]
    pub(super) engine: EngineArgs,
}

/// For commands that start meshes of their own.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(super) struct EngineArgs {
    /// What to run the nodes on [default: auto]
    #[arg(long = "runtime", value_name = "RUNTIME", value_enum)]
    pub(super) runtime: Option<EngineChoice>,
}

/// What of a [`Place`] a command has a use for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    Engine,
    Place,
}

impl EngineArgs {
    /// What is asked for, else what `before` the command was.
    pub(super) fn choice(self, before: &Place) -> EngineChoice {
        self.runtime.or(before.engine.runtime).unwrap_or_default()
    }
}

impl Place {
    /// The same with what stands `before` the command, where nothing stands behind it.
    pub(super) fn or(self, before: Self) -> Self {
        Self {
            engine: EngineArgs {
                runtime: self.engine.runtime.or(before.engine.runtime),
            },
            project: self.project.or(before.project),
        }
    }

    pub(super) fn choice(&self) -> EngineChoice {
        self.engine.runtime.unwrap_or_default()
    }

    /// The mesh's name.
    pub(super) fn name(&self) -> Result<String, Error> {
        let name = self.project.clone().unwrap_or_else(project::by_default);
        valid(&name).map_err(|fault| Error::environment(fault, "choose another MESH_NAME"))
    }

    /// Refuses what stands before a command that has no use for it.
    pub(super) fn no_more_than(&self, needs: Needs) -> Result<(), Error> {
        let refused = |flag: &str, why: &str| {
            let what = format!("{flag} is given before a command that {why}");
            Err(Error::environment(what, format!("leave out {flag}")))
        };
        if self.project.is_some() && needs != Needs::Place {
            return refused("-p", "takes no mesh name");
        }
        if self.engine.runtime.is_some() && needs == Needs::Nothing {
            return refused("--runtime", "runs no mesh");
        }
        Ok(())
    }
}

/// Compose's rule for names of projects.
pub(super) fn valid(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let held =
        text.starts_with(plain) && text.chars().all(|c| plain(c) || c == '-' || c == '_') && text.len() <= 40;
    let expected = || {
        format!(
            "project name `{text}`: expected at most 40 of a-z, 0-9, - and _, the first a letter or digit"
        )
    };
    if held {
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
    fn what_stands_before_a_command_without_a_use_for_it_is_refused() {
        let named = Place {
            project: Some("m".to_owned()),
            ..Place::default()
        };
        assert!(named.no_more_than(Needs::Place).is_ok());
        assert!(named.no_more_than(Needs::Engine).is_err());
        let engine = EngineArgs {
            runtime: Some(EngineChoice::Docker),
        };
        let chosen = Place {
            engine,
            ..Place::default()
        };
        assert!(chosen.no_more_than(Needs::Engine).is_ok());
        assert!(chosen.no_more_than(Needs::Nothing).is_err());
        assert_eq!(EngineArgs::default().choice(&chosen), EngineChoice::Docker);
        assert_eq!(chosen.or(named).name().ok().as_deref(), Some("m"));
    }
}
