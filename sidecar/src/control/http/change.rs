//! From a request that changes something to its command: the path's names and the body's fields are put in the
//! words of the command language, and are understood as words are.

use std::fmt;

use super::body::{Fault, Said};
use super::field::Given;
use crate::control::command::Command;
use crate::control::grammar::{Action, Resource};

/// A change that a route stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) action: Action,
    pub(super) resource: Resource,
    /// What the resource is in, by the first name of the path.
    pub(super) within: Option<Resource>,
    /// The body's fields; a removal has no body.
    pub(super) fields: Option<&'static [Given]>,
}

impl Change {
    /// The command that a request stands for, and what its body said.
    ///
    /// # Errors
    /// When names or body make no command.
    pub(super) fn command(
        &self,
        names: &[String],
        force: Option<bool>,
        body: &[u8],
    ) -> Result<(Command, Said), Fault> {
        let said = match self.fields {
            Some(fields) => Said::parse(body, self.resource, fields)?,
            None => Said::default(),
        };
        let (place, own) = match (self.within, names) {
            (Some(_), [place, rest @ ..]) => (Some(place.as_str()), rest),
            (_, own) => (None, own),
        };
        let name = said.name.as_deref().or(own.first().map(String::as_str));
        let action = match (self.action, force) {
            (Action::Remove | Action::ForceRemove, Some(true)) => Action::ForceRemove,
            (Action::Remove | Action::ForceRemove, Some(false)) => Action::Remove,
            (action, _) => action,
        };
        let mut words = vec![action.word(), self.resource.word(), name.unwrap_or_default()];
        if let (Some(within), Some(place)) = (self.within, place) {
            words.extend([self.preposition(), within.word(), place]);
        }
        words.extend(said.words.iter().map(String::as_str));
        match Command::from_words(&words) {
            Ok(command) => Ok((command, said)),
            Err(error) => Err(Fault::Unfit(said.explain(&error))),
        }
    }

    /// Whether the change removes something: then it may be forced.
    pub(super) fn removes(&self) -> bool {
        matches!(self.action, Action::Remove | Action::ForceRemove)
    }

    fn preposition(&self) -> &'static str {
        match self.action {
            Action::Add => "to",
            Action::Remove | Action::ForceRemove => "from",
            Action::Update | Action::List | Action::ListDetail => "in",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.resource)?;
        match self.within {
            Some(place) => write!(f, " {} {place}", self.preposition()),
            None => Ok(()),
        }
    }
}
