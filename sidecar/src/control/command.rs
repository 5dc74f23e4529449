//! The typed command that every controller parses its input to, and that the [`Controller`](super::Controller)
//! executes.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use super::error::CommandError;
use super::remarks::Parsed;
use super::resources::{
    Add, Args, Config, Id, Parent, READ_ONLY, Removal, Resource, UNCHANGEABLE, Update, check_name,
    threads_changed,
};
use super::running::ListenerName;
use super::sentence::{Action, CASCADE, Sentence};
use super::sessions::SessionPattern;
use super::values::Value;

/// Changes the sidecar's configuration, or reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Adds a resource, or attaches one to another.
    Add(Add),
    /// Changes a resource.
    Update(Update),
    /// Removes a resource, or detaches one from another.
    Remove {
        /// Its identity.
        id: Id,
        /// What to do if others use it.
        removal: Removal,
    },
    /// `force-remove session ADDRESS|/REGEX/ from tcp-lb|socks5-server NAME`
    RemoveSessions {
        /// The sessions to abort.
        which: SessionPattern,
        /// The listener that accepted them.
        listener: ListenerName,
    },
    /// Reads resources.
    List {
        /// Their kind.
        resource: Resource,
        /// The parents that they are in, from the nearest to the outermost.
        parents: Vec<Parent>,
        /// Whether to list a line about each, instead of only its name or the number of them.
        detail: bool,
    },
    /// Makes or removes threads of the original: nothing here.
    WithoutEffect,
}

impl FromStr for Command {
    type Err = CommandError;

    /// Parses one command as a user types it, words separated by white space.
    fn from_str(line: &str) -> Result<Self, CommandError> {
        let words: Vec<&str> = line.split_whitespace().collect();
        Self::parse(&words).map(|parsed| parsed.command)
    }
}

impl Command {
    /// Parses one command from its words.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] with the word at fault and what was expected.
    pub fn parse(words: &[&str]) -> Result<Parsed, CommandError> {
        let (action, words) = words.split_first().unwrap_or((&"", &[]));
        let action = Action::parse(action)?;
        if matches!(action, Action::Add | Action::Remove | Action::ForceRemove)
            && let Some(resource) = threads_changed(words, action.prepositions())
        {
            return Ok(Parsed::new(Self::WithoutEffect, vec![resource]));
        }
        let Sentence {
            action,
            resource,
            name,
            parents,
            keys,
            flags,
        } = Sentence::parse(action, words)?;
        check_action(action, resource)?;
        let resource = resource.in_parents(action.word(), action.prepositions()[0], &parents)?;
        let mut args = Args {
            resource,
            name: name.clone(),
            parent: parents.first().map(|parent| parent.name.clone()),
            keys,
            flags,
        };
        if action == Action::Update {
            args.check_change()?;
        }
        let ignored = args.take_foreign(action == Action::Update)?;
        let command = match action {
            Action::Add => Self::Add(resource.parse_add(&mut args)?),
            Action::Update => Self::Update(resource.parse_update(&mut args)?),
            Action::Remove if args.take_flag(CASCADE) => {
                Self::remove(resource, name, &parents, Removal::Cascade)?
            }
            Action::Remove => Self::remove(resource, name, &parents, Removal::Unused)?,
            Action::ForceRemove => Self::remove(resource, name, &parents, Removal::Force)?,
            Action::List | Action::ListDetail => {
                check_addresses(&parents)?;
                Self::List {
                    resource,
                    parents,
                    detail: action == Action::ListDetail,
                }
            }
        };
        let left = args
            .keys
            .first()
            .map(|(key, _)| *key)
            .or(args.flags.first().copied());
        match left {
            None => Ok(Parsed::new(command, ignored)),
            Some(word) => Err(CommandError::invalid(
                word,
                format!("{word} does not go with `{action} {resource}`"),
            )),
        }
    }

    /// The command that removes a resource.
    pub(super) fn remove(
        resource: Resource,
        name: String,
        parents: &[Parent],
        removal: Removal,
    ) -> Result<Self, CommandError> {
        let action = match removal {
            Removal::Force => Action::ForceRemove,
            Removal::Unused | Removal::Cascade => Action::Remove,
        };
        check_action(action, resource)?;
        if resource == Resource::Session {
            return Ok(Self::RemoveSessions {
                which: session_pattern(&name)?,
                listener: ListenerName::of(parents),
            });
        }
        check_name(resource, &name)?;
        let id = Id {
            resource,
            name,
            parent: parents.first().map(|parent| parent.name.clone()),
        };
        Ok(Self::Remove { id, removal })
    }

    /// Changes a configuration; a command that only reads does not. Returns the removed resources, users first.
    ///
    /// # Errors
    /// When the command does not fit the configuration, which then stays as it was.
    pub(super) fn configure(&self, config: &mut Config) -> Result<Vec<Add>, CommandError> {
        match self {
            Self::Add(add) => config.add(add).map(|()| Vec::new()),
            Self::Update(update) => config.update(update).map(|()| Vec::new()),
            Self::Remove { id, removal } => config.remove(id, *removal),
            Self::RemoveSessions { listener, .. } => config.require(&listener.id()).map(|()| Vec::new()),
            Self::List { .. } | Self::WithoutEffect => Ok(Vec::new()),
        }
    }
}

impl fmt::Display for Command {
    /// Writes the command in the form that is parsed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add(add) => write!(f, "{} {add}", Action::Add),
            Self::Update(update) => write!(f, "{} {update}", Action::Update),
            Self::Remove { id, removal } => {
                let (action, flag) = match removal {
                    Removal::Unused => (Action::Remove, None),
                    Removal::Force => (Action::ForceRemove, None),
                    Removal::Cascade => (Action::Remove, Some(CASCADE)),
                };
                write!(f, "{action} {}", id.write("from"))?;
                flag.map_or(Ok(()), |flag| write!(f, " {flag}"))
            }
            Self::RemoveSessions { which, listener } => {
                let (action, session) = (Action::ForceRemove, Resource::Session);
                write!(
                    f,
                    "{action} {session} {which} from {}",
                    listener.id().write("from")
                )
            }
            Self::List {
                resource,
                parents,
                detail,
            } => {
                let action = if *detail { Action::ListDetail } else { Action::List };
                write!(f, "{action} {resource}")?;
                let mut parents = parents.iter();
                parents.try_for_each(|Parent { resource, name }| write!(f, " in {resource} {name}"))
            }
            Self::WithoutEffect => f.write_str("a command without effect"),
        }
    }
}

/// Checks that a kind of resource has the action.
fn check_action(action: Action, resource: Resource) -> Result<(), CommandError> {
    let configured = resource.is_configured();
    let reason = match (action, resource) {
        (Action::List | Action::ListDetail, _) | (Action::ForceRemove, Resource::Session) => return Ok(()),
        (Action::Remove, Resource::Session) => "a session is in use until it ends; use force-remove",
        (Action::Update, _) if configured && resource.spec().updatable().next().is_none() => UNCHANGEABLE,
        _ if configured => return Ok(()),
        _ => READ_ONLY,
    };
    Err(resource.cannot(action.word(), reason))
}

fn session_pattern(text: &str) -> Result<SessionPattern, CommandError> {
    text.parse().map_err(|()| {
        CommandError::invalid(
            text,
            format!("{text} names no session; expected an address such as 127.0.0.1:5000, or /REGEX/"),
        )
    })
}

/// Checks the names of parents that are addresses.
fn check_addresses(parents: &[Parent]) -> Result<(), CommandError> {
    let bound = parents
        .iter()
        .find(|parent| parent.resource == Resource::BindServer);
    match bound {
        Some(Parent { name, .. }) if SocketAddr::parse(name).is_none() => Err(CommandError::invalid(
            name,
            format!(
                "bind-server {name} is not an address; expected {}",
                SocketAddr::EXPECTED
            ),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Command;
    use crate::control::arbitrary;

    proptest! {
        #[test]
        fn a_written_command_parses_to_the_same_command(statement in arbitrary::any_command()) {
            let command = statement.command();
            let line = command.to_string();
            let read = line.parse::<Command>().map_err(|e| TestCaseError::fail(format!("{line}: {e}")))?;
            prop_assert_eq!(read, command, "{}", line);
        }
    }
}
