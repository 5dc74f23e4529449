//! What is left of a sentence while its parts are taken.

use crate::control::command::ListenerName;
use crate::control::error::CommandError;
use crate::control::grammar::{Action, Flag, Key, Place, Resource};
use crate::control::values::{self, Kind};

/// What is left of a sentence while its parts are taken.
pub(super) struct Rest {
    pub(super) resource: Resource,
    pub(super) places: Vec<Place>,
    pub(super) keys: Vec<(Key, String)>,
    pub(super) flags: Vec<Flag>,
}

impl Rest {
    /// The name of the nearest place, where that is of the kind.
    pub(super) fn take_place(&mut self, resource: Resource) -> Option<String> {
        match self.places.first() {
            Some(place) if place.resource == resource => Some(self.places.remove(0).name),
            _ => None,
        }
    }

    pub(super) fn required_place(
        &mut self,
        resource: Resource,
        preposition: &str,
    ) -> Result<String, CommandError> {
        self.take_place(resource).ok_or_else(|| {
            let what = self.resource;
            CommandError::invalid(
                what.word(),
                format!("`{preposition} {resource} NAME` is missing: a {what} belongs to a {resource}"),
            )
        })
    }

    pub(super) fn listener_place(&mut self, preposition: &str) -> Result<ListenerName, CommandError> {
        if let Some(name) = self.take_place(Resource::TcpLb) {
            return Ok(ListenerName::TcpLb(name));
        }
        self.take_place(Resource::Socks5Server)
            .map(ListenerName::Socks5Server)
            .ok_or_else(|| {
                CommandError::invalid(
                    self.resource.word(),
                    format!("`{preposition} tcp-lb NAME` or `{preposition} socks5-server NAME` is missing"),
                )
            })
    }

    pub(super) fn optional<T>(&mut self, key: Key, kind: &Kind<T>) -> Result<Option<T>, CommandError> {
        let Some(at) = self.keys.iter().position(|(k, _)| *k == key) else {
            return Ok(None);
        };
        let (_, text) = self.keys.remove(at);
        match (kind.parse)(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(CommandError::invalid(
                &text,
                format!("{key} {text} is not valid; expected {}", kind.expected),
            )),
        }
    }

    pub(super) fn required<T>(&mut self, key: Key, kind: &Kind<T>) -> Result<T, CommandError> {
        self.optional(key, kind)?.ok_or_else(|| {
            CommandError::invalid(
                key.word(),
                format!(
                    "{key} is missing; expected `{key}` with {} behind it",
                    kind.expected
                ),
            )
        })
    }

    pub(super) fn weight(&mut self) -> Result<Option<u32>, CommandError> {
        self.optional(Key::Weight, &values::WEIGHT)
    }

    pub(super) fn allow_non_backend(&mut self) -> Result<Option<bool>, CommandError> {
        let allow = self.take_flag(Flag::AllowNonBackend);
        let deny = self.take_flag(Flag::DenyNonBackend);
        match (allow, deny) {
            (true, true) => Err(CommandError::invalid(
                Flag::DenyNonBackend.word(),
                "allow-non-backend and deny-non-backend exclude each other",
            )),
            (false, false) => Ok(None),
            (allow, _) => Ok(Some(allow)),
        }
    }

    fn take_flag(&mut self, flag: Flag) -> bool {
        let before = self.flags.len();
        self.flags.retain(|f| *f != flag);
        self.flags.len() < before
    }

    pub(super) fn nothing_left(&self, action: Action) -> Result<(), CommandError> {
        let word = match (self.places.first(), self.keys.first(), self.flags.first()) {
            (Some(place), ..) => place.resource.word(),
            (_, Some((key, _)), _) => key.word(),
            (.., Some(flag)) => flag.word(),
            _ => return Ok(()),
        };
        Err(CommandError::invalid(
            word,
            format!("{word} does not go with `{action} {}`", self.resource),
        ))
    }

    /// The error for an action that the resource does not know.
    pub(super) fn cannot(&self, action: Action, why: &str) -> CommandError {
        let resource = self.resource;
        CommandError::invalid(
            resource.word(),
            format!("`{action} {resource}` is not possible: {why}"),
        )
    }
}
