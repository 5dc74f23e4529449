//! The configuration as commands made it. Pure: it decides whether a change may be made, without starting or binding
//! anything. A file is checked against a configuration of its own before anything starts.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use indexmap::IndexMap;

use super::{Add, Id, Resource, Update};
use crate::control::error::CommandError;

/// Maximum number of users that the error for a resource in use names.
const SHOWN_USERS: usize = 8;

/// Maximum number of resources, attachments, servers and rules together.
const MAX_RESOURCES: usize = 4096;

/// What a removal does about the resources that use the removed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// Refuses it, and names them.
    Unused,
    /// Refuses it, names them, and says how to remove them, too. The original leaves them running, so that the same word
    /// must not end them here.
    Force,
    /// Removes them first.
    Cascade,
}

/// The configuration: every resource by what identifies it, in the order in which they were added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::control) struct Config(IndexMap<Id, Add>);

impl Config {
    /// The resources of a kind, in the order in which they were added.
    pub(in crate::control) fn all(&self, resource: Resource) -> impl Iterator<Item = &Add> {
        self.0
            .iter()
            .filter(move |(id, _)| id.resource == resource)
            .map(|(_, add)| add)
    }

    /// The resources inside another one, in the order in which they were added.
    pub(super) fn within(&self, resource: Resource, parent: &str) -> impl Iterator<Item = &Add> {
        self.0
            .iter()
            .filter(move |(id, _)| id.resource == resource && id.parent.as_deref() == Some(parent))
            .map(|(_, add)| add)
    }

    pub(super) fn get(&self, id: &Id) -> Option<&Add> {
        self.0.get(id)
    }

    pub(in crate::control) fn add(&mut self, add: &Add) -> Result<(), CommandError> {
        if self.0.len() >= MAX_RESOURCES {
            return Err(CommandError::refused(
                "add",
                format!("the configuration holds {MAX_RESOURCES} resources, its limit; remove some first"),
            ));
        }
        let (id, added) = (add.id(), add.inner());
        for needed in added.references().iter().chain(&id.owner()) {
            self.require(needed)?;
        }
        added.check_keys()?;
        added.check(self)?;
        if self.0.contains_key(&id) {
            return Err(CommandError::Exists {
                resource: id.resource.word(),
                name: id.name,
            });
        }
        self.0.insert(id, add.clone());
        Ok(())
    }

    pub(in crate::control) fn update(&mut self, update: &Update) -> Result<(), CommandError> {
        let update = update.inner();
        let id = update.id();
        for needed in update.references().iter().chain(&id.owner()) {
            self.require(needed)?;
        }
        let add = self.0.get_mut(&id).ok_or_else(|| id.not_found())?;
        let mut changed = add.clone();
        update.change(&mut changed);
        changed.inner().check_keys()?;
        *add = changed;
        Ok(())
    }

    /// Removes a resource and those inside it. If others use it, that is refused, or with [`Removal::Cascade`] its users
    /// are removed before it. Returns what was removed, users first, without what was inside it.
    pub(in crate::control) fn remove(&mut self, id: &Id, removal: Removal) -> Result<Vec<Add>, CommandError> {
        if let Some(owner) = id.owner() {
            self.require(&owner)?;
        }
        self.require(id)?;
        let users = self.users(id);
        if !users.is_empty() && removal != Removal::Cascade {
            return Err(in_use(id, &users, removal == Removal::Force));
        }
        let mut removed = Vec::new();
        for gone in users.iter().chain([id]) {
            removed.extend(self.0.shift_remove(gone));
        }
        self.0.retain(|inner, _| inner.owner().as_ref() != Some(id));
        Ok(removed)
    }

    /// The commands that make this configuration from an empty one, in order.
    pub(in crate::control) fn commands(&self) -> Vec<Add> {
        let mut inner: HashMap<Id, Vec<&Add>> = HashMap::new();
        for (id, add) in &self.0 {
            if let Some(owner) = id.owner() {
                inner.entry(owner).or_default().push(add);
            }
        }
        let top = Resource::ALL.iter().filter(|kind| kind.parent().is_none());
        let mut commands = Vec::with_capacity(self.0.len());
        for owner in top.flat_map(|kind| self.all(*kind)) {
            commands.push(owner.clone());
            let inner = inner.remove(&owner.id()).unwrap_or_default();
            commands.extend(inner.into_iter().cloned());
        }
        commands
    }

    pub(in crate::control) fn require(&self, id: &Id) -> Result<(), CommandError> {
        match self.0.contains_key(id) {
            true => Ok(()),
            false => Err(id.not_found()),
        }
    }

    fn users(&self, id: &Id) -> Vec<Id> {
        let users = self
            .0
            .iter()
            .filter(|(_, add)| add.inner().references().contains(id));
        let mut users: Vec<Id> = users.map(|(user, _)| user.clone()).collect();
        users.sort_by_key(|user| user.resource);
        users
    }
}

/// The error for a resource that others use; with `says_how`, it says how to remove them, too.
fn in_use(id: &Id, users: &[Id], says_how: bool) -> CommandError {
    let mut named: Vec<String> = Vec::new();
    for user in users {
        // An attachment is inside the set that uses the group.
        let user = user.owner().unwrap_or_else(|| user.clone()).write("in");
        if !named.contains(&user) {
            named.push(user);
        }
    }
    let (what, rest) = (id.write("from"), named.len().saturating_sub(SHOWN_USERS));
    named.truncate(SHOWN_USERS);
    if rest > 0 {
        named.push(format!("{rest} more"));
    }
    CommandError::InUse {
        name: id.name.clone(),
        advice: match says_how {
            true => format!("; `remove {what} cascade` (over HTTP ?cascade=true) removes them, too"),
            false => String::new(),
        },
        what,
        users: named.join(", "),
    }
}
