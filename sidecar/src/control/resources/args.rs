//! The arguments of a command: its words as they are parsed, and as they are written.

use std::fmt;

use super::Resource;
use crate::control::error::CommandError;
use crate::control::values::{Value, not_valid};

/// The words of a command that are not yet parsed. Each is taken once.
#[derive(Debug)]
pub(in crate::control) struct Args {
    pub(in crate::control) resource: Resource,
    pub(in crate::control) name: String,
    /// The name of the parent that the resource is in, if it is in one.
    pub(in crate::control) parent: Option<String>,
    pub(in crate::control) keys: Vec<(&'static str, String)>,
    pub(in crate::control) flags: Vec<&'static str>,
}

impl Args {
    /// The resource's name, checked.
    pub(super) fn name(&mut self) -> Result<String, CommandError> {
        check_name(self.resource, &self.name)?;
        Ok(std::mem::take(&mut self.name))
    }

    /// The name of the parent that the resource is in.
    pub(super) fn parent(&mut self) -> String {
        self.parent.take().unwrap_or_default()
    }

    pub(super) fn optional<T: Value>(&mut self, key: &'static str) -> Result<Option<T>, CommandError> {
        let Some(at) = self.keys.iter().position(|(k, _)| *k == key) else {
            return Ok(None);
        };
        let (_, word) = self.keys.remove(at);
        match T::parse(&word) {
            Some(value) => Ok(Some(value)),
            None => Err(CommandError::invalid(
                &word,
                format!("{key} {}", not_valid::<T>(&word)),
            )),
        }
    }

    pub(super) fn required<T: Value>(&mut self, key: &'static str) -> Result<T, CommandError> {
        self.optional(key)?.ok_or_else(|| {
            let mut keys = self.resource.spec().keys.iter().filter(|_| T::IS_NAME);
            let help = keys
                .find(|it| it.word == key)
                .and_then(|it| it.fields[0])
                .map(|field| field.help);
            let expected = help
                .unwrap_or(T::EXPECTED)
                .replace("RESOURCE", self.resource.word());
            CommandError::invalid(
                key,
                format!("{key} is missing; expected `{key}` followed by {expected}"),
            )
        })
    }

    /// The flag or its opposite.
    pub(super) fn flag(&mut self, on: &'static str, off: &'static str) -> Result<Option<bool>, CommandError> {
        match (self.take_flag(on), self.take_flag(off)) {
            (true, true) => Err(CommandError::invalid(
                off,
                format!("{on} and {off} exclude each other"),
            )),
            (false, false) => Ok(None),
            (on, _) => Ok(Some(on)),
        }
    }

    /// Whether a flag is given.
    pub(in crate::control) fn take_flag(&mut self, flag: &str) -> bool {
        let before = self.flags.len();
        self.flags.retain(|f| *f != flag);
        self.flags.len() < before
    }

    /// Takes the keys of the original that set nothing here. Returns those that its caller is told of.
    pub(in crate::control) fn take_foreign(
        &mut self,
        in_update: bool,
    ) -> Result<Vec<&'static str>, CommandError> {
        let mut ignored = Vec::new();
        for foreign in self.resource.spec().foreign {
            let at = self.keys.iter().position(|(key, _)| Some(*key) == foreign.word);
            let Some(at) = at.filter(|_| foreign.in_update || !in_update) else {
                continue;
            };
            let (key, value) = self.keys.remove(at);
            if foreign.check(key, &value)? {
                ignored.push(key);
            }
        }
        Ok(ignored)
    }

    /// Checks that an update has a key, if it has a choice of several. The error names them.
    pub(in crate::control) fn check_change(&self) -> Result<(), CommandError> {
        let updatable = self.resource.spec().updatable();
        if !self.keys.is_empty() || !self.flags.is_empty() || updatable.clone().count() < 2 {
            return Ok(());
        }
        let words: Vec<&str> = updatable
            .flat_map(|key| [Some(key.word), key.off])
            .flatten()
            .collect();
        Err(CommandError::invalid(
            self.resource.word(),
            format!(
                "the update changes nothing; expected at least one of {}",
                words.join(", ")
            ),
        ))
    }
}

/// Checks the name of a resource.
pub(in crate::control) fn check_name(resource: Resource, name: &str) -> Result<(), CommandError> {
    match String::parse(name) {
        Some(_) => Ok(()),
        None => Err(CommandError::invalid(
            name,
            format!(
                "{name:?} is not a valid name for a {resource}; expected {}",
                String::EXPECTED
            ),
        )),
    }
}

/// Writes keys and flags, each preceded by a space.
#[derive(Debug, Default)]
pub(in crate::control) struct Words(String);

impl Words {
    pub(super) fn key(&mut self, key: &str, value: &impl Value) -> &mut Self {
        self.0.push_str(&format!(" {key} {value}"));
        self
    }

    pub(super) fn optional(&mut self, key: &str, value: Option<&impl Value>) -> &mut Self {
        match value {
            Some(value) => self.key(key, value),
            None => self,
        }
    }

    /// Writes a key unless its value is the default.
    pub(super) fn unless_default<T: Value + Default + PartialEq>(
        &mut self,
        key: &str,
        value: &T,
    ) -> &mut Self {
        self.optional(key, Some(value).filter(|value| **value != T::default()))
    }

    pub(super) fn flag(&mut self, flag: &str) -> &mut Self {
        self.0.push(' ');
        self.0.push_str(flag);
        self
    }

    /// Writes a flag if it is on.
    pub(super) fn if_on(&mut self, on: bool, flag: &str) -> &mut Self {
        if on { self.flag(flag) } else { self }
    }

    /// Writes a flag or its opposite, if it is changed.
    pub(super) fn switch(&mut self, change: Option<bool>, on: &str, off: &str) -> &mut Self {
        match change {
            Some(true) => self.flag(on),
            Some(false) => self.flag(off),
            None => self,
        }
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
