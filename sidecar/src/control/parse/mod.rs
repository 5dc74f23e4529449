//! From words to a typed [`Command`]: every part of a sentence is taken once, checked, and none may be left over.

mod add;
mod list;
mod remove;
mod rest;
mod update;

use std::str::FromStr;

use super::command::Command;
use super::error::CommandError;
use super::grammar::{Action, Sentence};
use super::sessions::SessionPattern;
use super::values;
use rest::Rest;

impl FromStr for Command {
    type Err = CommandError;

    /// Parses one command as a person writes it, words apart by white space.
    fn from_str(line: &str) -> Result<Self, CommandError> {
        let words: Vec<&str> = line.split_whitespace().collect();
        Self::from_words(&words)
    }
}

impl Command {
    /// Parses one command from its words.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] with the word at fault and what was expected.
    pub fn from_words(words: &[&str]) -> Result<Self, CommandError> {
        let Sentence {
            action,
            resource,
            name,
            places,
            keys,
            flags,
        } = Sentence::parse(words)?;
        let mut rest = Rest {
            resource,
            places,
            keys,
            flags,
        };
        let command = match action {
            Action::Add => Self::Add(add::add(named(resource, name)?, &mut rest)?),
            Action::Update => Self::Update(update::update(named(resource, name)?, &mut rest)?),
            Action::Remove | Action::ForceRemove => {
                let force = action == Action::ForceRemove;
                Self::Remove {
                    what: remove::remove(name, force, &mut rest)?,
                    force,
                }
            }
            Action::List | Action::ListDetail => Self::List {
                what: list::list(&mut rest)?,
                detail: action == Action::ListDetail,
            },
        };
        rest.nothing_left(action)?;
        Ok(command)
    }
}

fn named(resource: super::grammar::Resource, name: String) -> Result<String, CommandError> {
    values::check_name(resource.word(), &name)?;
    Ok(name)
}

fn session_pattern(text: &str) -> Result<SessionPattern, CommandError> {
    text.parse().map_err(|()| {
        CommandError::invalid(
            text,
            format!("{text} names no session; expected an address such as 127.0.0.1:5000, or /REGEX/"),
        )
    })
}
