//! The identity of a resource: its kind, its name and its parent.

use super::Resource;
use crate::control::error::CommandError;

/// Identifies a resource of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Id {
    /// Its kind.
    pub resource: Resource,
    /// Its name, unique among its kind in its parent.
    pub name: String,
    /// The name of the resource that it is in, if it is in one.
    pub parent: Option<String>,
}

/// A resource that contains others, by kind and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// Its kind.
    pub resource: Resource,
    /// Its name.
    pub name: String,
}

impl Id {
    pub(super) fn new(resource: Resource, name: impl Into<String>) -> Self {
        Self {
            resource,
            name: name.into(),
            parent: None,
        }
    }

    pub(super) fn within(self, parent: impl Into<String>) -> Self {
        Self {
            parent: Some(parent.into()),
            ..self
        }
    }

    /// The resource that contains it, if there is one.
    pub(in crate::control) fn owner(&self) -> Option<Self> {
        let (resource, name) = (self.resource.parent()?, self.parent.as_ref()?);
        Some(Self::new(resource, name))
    }

    pub(in crate::control) fn not_found(&self) -> CommandError {
        CommandError::not_found(self.resource.word(), &self.name)
    }

    /// Writes it, with a preposition before its parent.
    pub(in crate::control) fn write(&self, preposition: &str) -> String {
        let Self { resource, name, .. } = self;
        match self.owner() {
            Some(Self {
                resource: parent,
                name: owner,
                ..
            }) => {
                format!("{resource} {name} {preposition} {parent} {owner}")
            }
            None => format!("{resource} {name}"),
        }
    }
}

impl Resource {
    /// The kind of resource with this word in these parents: a `server-group` in `server-groups` is an attachment.
    ///
    /// # Errors
    /// When a parent is missing or does not fit.
    pub(in crate::control) fn in_parents(
        self,
        action: &str,
        preposition: &str,
        parents: &[Parent],
    ) -> Result<Self, CommandError> {
        let given: Vec<Self> = parents.iter().map(|parent| parent.resource).collect();
        let same_word = Self::ALL.iter().filter(|r| r.word() == self.word());
        let mut fitting = same_word.flat_map(|r| r.parents().iter().map(move |parents| (*r, *parents)));
        if let Some((resource, _)) = fitting.clone().find(|(_, parents)| *parents == given) {
            return Ok(resource);
        }
        let prefix = fitting.clone().filter(|(_, parents)| given.starts_with(parents));
        if let Some((_, longest)) = prefix.max_by_key(|(_, parents)| parents.len()) {
            let word = given[longest.len()].word();
            return Err(CommandError::invalid(
                word,
                format!("{word} does not go with `{action} {self}`"),
            ));
        }
        // The parents that complete the longest prefix of the given parents that fits.
        let completing = |given: &[Self]| {
            let parents = fitting.clone().map(|(_, parents)| parents);
            let last = parents.filter_map(|parents| match parents.strip_prefix(given) {
                Some([last]) => Some(*last),
                _ => None,
            });
            last.collect::<Vec<Self>>()
        };
        let mut parts = (0..=given.len()).rev().map(|length| completing(&given[..length]));
        let missing = parts.find(|parents| !parents.is_empty()).unwrap_or_default();
        let expected: Vec<String> = missing
            .iter()
            .map(|parent| format!("`{preposition} {parent} NAME`"))
            .collect();
        let expected = expected.join(" or ");
        let message = match fitting.next() {
            Some((_, [parent])) if self.parents().len() == 1 => {
                format!("{expected} is missing: a {self} belongs to a {parent}")
            }
            _ => format!("{expected} is missing"),
        };
        Err(CommandError::invalid(self.word(), message))
    }
}

/// The name of the nearest parent, for a resource that is in one.
pub(super) fn parent_name(parents: &[Parent]) -> &str {
    parents
        .first()
        .map(|parent| parent.name.as_str())
        .unwrap_or_default()
}
