//! The identity of a resource: its kind, its name and its place.

use super::Resource;
use crate::control::error::CommandError;

/// Identifies a resource of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Id {
    /// Its kind.
    pub resource: Resource,
    /// Its name, unique among its kind in its place.
    pub name: String,
    /// The name of the resource that it is in, if it is in one.
    pub place: Option<String>,
}

/// A resource that contains others, by kind and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
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
            place: None,
        }
    }

    pub(super) fn within(self, place: impl Into<String>) -> Self {
        Self {
            place: Some(place.into()),
            ..self
        }
    }

    /// The resource that contains it, if there is one.
    pub(in crate::control) fn owner(&self) -> Option<Self> {
        let (resource, name) = (self.resource.place()?, self.place.as_ref()?);
        Some(Self::new(resource, name))
    }

    pub(in crate::control) fn not_found(&self) -> CommandError {
        CommandError::not_found(self.resource.word(), &self.name)
    }

    /// Writes it, with a preposition before its place.
    pub(in crate::control) fn write(&self, preposition: &str) -> String {
        let Self { resource, name, .. } = self;
        match self.owner() {
            Some(Self {
                resource: place,
                name: owner,
                ..
            }) => {
                format!("{resource} {name} {preposition} {place} {owner}")
            }
            None => format!("{resource} {name}"),
        }
    }
}

impl Resource {
    /// The kind of resource with this word in these places: a `server-group` in `server-groups` is an attachment.
    ///
    /// # Errors
    /// When a place is missing or does not fit.
    pub(in crate::control) fn in_places(
        self,
        action: &str,
        preposition: &str,
        places: &[Place],
    ) -> Result<Self, CommandError> {
        let given: Vec<Self> = places.iter().map(|place| place.resource).collect();
        let same_word = Self::ALL.iter().filter(|r| r.word() == self.word());
        let mut fitting = same_word.flat_map(|r| r.places().iter().map(move |places| (*r, *places)));
        if let Some((resource, _)) = fitting.clone().find(|(_, places)| *places == given) {
            return Ok(resource);
        }
        let prefix = fitting.clone().filter(|(_, places)| given.starts_with(places));
        if let Some((_, longest)) = prefix.max_by_key(|(_, places)| places.len()) {
            let word = given[longest.len()].word();
            return Err(CommandError::invalid(
                word,
                format!("{word} does not go with `{action} {self}`"),
            ));
        }
        // The places that complete the longest prefix of the given places that fits.
        let completing = |given: &[Self]| {
            let places = fitting.clone().map(|(_, places)| places);
            let last = places.filter_map(|places| match places.strip_prefix(given) {
                Some([last]) => Some(*last),
                _ => None,
            });
            last.collect::<Vec<Self>>()
        };
        let mut parts = (0..=given.len()).rev().map(|length| completing(&given[..length]));
        let missing = parts.find(|places| !places.is_empty()).unwrap_or_default();
        let expected: Vec<String> = missing
            .iter()
            .map(|place| format!("`{preposition} {place} NAME`"))
            .collect();
        let expected = expected.join(" or ");
        let message = match fitting.next() {
            Some((_, [place])) if self.places().len() == 1 => {
                format!("{expected} is missing: a {self} belongs to a {place}")
            }
            _ => format!("{expected} is missing"),
        };
        Err(CommandError::invalid(self.word(), message))
    }
}

/// The name of the nearest place, for a resource that is in one.
pub(super) fn place_name(places: &[Place]) -> &str {
    places
        .first()
        .map(|place| place.name.as_str())
        .unwrap_or_default()
}
