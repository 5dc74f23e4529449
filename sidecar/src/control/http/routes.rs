//! Every path and its meaning, generated from the resources' specifications.

use std::fmt;
use std::sync::LazyLock;

use hyper::Method;
use serde_json::{Map, Value};

use super::body::{self, BodyError};
use crate::control::command::Command;
use crate::control::error::CommandError;
use crate::control::remarks::Parsed;
use crate::control::resources::{Answer, Api, BodyField, Parent, Read, Removal, Resource};
use crate::control::sentence::Action;

/// Under this path are the resources that commands configure.
const MODULE: &str = "/api/v1/module";

/// A method and path, and their meaning.
pub(super) struct Route {
    pub(super) method: Method,
    /// Segments in braces stand for names.
    pub(super) path: String,
    pub(super) leads: Leads,
}

/// The meaning of a route.
pub(super) enum Leads {
    /// A command that changes the configuration.
    Change(Change),
    /// A read.
    Read(Reading),
    /// Names resolved by the original; there are none here.
    Nothing,
    /// The description of the API.
    Document,
}

/// A change.
#[derive(Debug)]
pub(super) struct Change {
    action: Action,
    pub(super) resource: Resource,
    /// The kind of resource that contains it, given by the first name of the path.
    within: Option<Resource>,
    /// The body's fields; a removal has no body.
    pub(super) fields: Option<Vec<BodyField>>,
}

/// A read.
pub(super) struct Reading {
    pub(super) resource: Resource,
    /// The kinds of resources that contain it, from the nearest; the path names each.
    pub(super) parents: Vec<Resource>,
    pub(super) selection: Selection,
    pub(super) answer: Answer,
}

/// The part of a list that a read answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selection {
    All,
    /// The one that has the path's last name.
    One,
    /// That one, in detail.
    Detail,
}

/// Every route.
pub(super) static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let resources = Resource::ALL.iter();
    let mut routes: Vec<Route> = resources.flat_map(|resource| of(*resource)).collect();
    routes.push(Route::get("/api/v1/state/dns-cache", Leads::Nothing));
    routes.push(Route::get("/api/v1/openapi.json", Leads::Document));
    routes
});

impl Route {
    /// The names in a path, if it belongs to this route.
    pub(super) fn names(&self, path: &[String]) -> Option<Vec<String>> {
        let mut parts = self.path.split('/').skip(1);
        let mut names = Vec::new();
        for given in path {
            let part = parts.next()?;
            if !part.starts_with('{') {
                if part != given {
                    return None;
                }
            } else {
                names.push(given.clone());
            }
        }
        parts.next().is_none().then_some(names)
    }

    fn change(method: Method, path: &str, change: Change) -> Self {
        Self {
            method,
            path: path.to_owned(),
            leads: Leads::Change(change),
        }
    }

    fn get(path: &str, leads: Leads) -> Self {
        Self {
            method: Method::GET,
            path: path.to_owned(),
            leads,
        }
    }
}

fn of(resource: Resource) -> Vec<Route> {
    match resource.api() {
        Api::Module { short, detail } => module(resource, short, detail),
        Api::Reading { root, last, answer } => reading(resource, root, last, &answer),
    }
}

/// The routes of a resource that commands configure.
fn module(resource: Resource, short: Answer, detail: Answer) -> Vec<Route> {
    let within = resource.parent();
    let all = match within {
        Some(parent) => format!("{MODULE}/{parent}/{{{parent}}}/{resource}"),
        None => format!("{MODULE}/{resource}"),
    };
    let one = format!("{all}/{{{resource}}}");
    let change = |action, fields| Change {
        action,
        resource,
        within,
        fields,
    };
    let read = |selection, answer: &Answer| {
        Leads::Read(Reading {
            resource,
            parents: within.into_iter().collect(),
            selection,
            answer: answer.clone(),
        })
    };
    let spec = resource.spec();
    let mut routes = vec![
        Route::get(&all, read(Selection::All, &short)),
        Route::change(Method::POST, &all, change(Action::Add, Some(spec.add_fields()))),
        Route::get(&one, read(Selection::One, &short)),
        Route::get(&format!("{one}/detail"), read(Selection::Detail, &detail)),
        Route::change(Method::DELETE, &one, change(Action::Remove, None)),
    ];
    let update = spec.update_fields();
    if !update.is_empty() {
        routes.push(Route::change(
            Method::PUT,
            &one,
            change(Action::Update, Some(update)),
        ));
    }
    routes
}

/// The routes of a resource that is only listed; sessions can also be removed.
fn reading(resource: Resource, root: &str, last: &str, answer: &Answer) -> Vec<Route> {
    let mut routes = Vec::new();
    for parents in resource.parents() {
        // The path begins with the outermost parent.
        let outermost = parents.iter().rev();
        let at: String = outermost
            .map(|parent| format!("/{parent}/{{{parent}}}"))
            .collect();
        let path = format!("{root}{at}/{last}");
        let reading = Reading {
            resource,
            parents: parents.to_vec(),
            selection: Selection::All,
            answer: answer.clone(),
        };
        routes.push(Route::get(&path, Leads::Read(reading)));
        if resource == Resource::Session {
            let change = Change {
                action: Action::ForceRemove,
                resource,
                within: parents.first().copied(),
                fields: None,
            };
            routes.push(Route::change(
                Method::DELETE,
                &format!("{path}/{{session}}"),
                change,
            ));
        }
    }
    routes
}

impl Reading {
    /// The answer to a request with these names in its path.
    ///
    /// # Errors
    /// When one of them does not exist.
    pub(super) fn read(&self, at: &Read<'_>, names: &[String]) -> Result<Value, CommandError> {
        let all = (self.answer.read)(at, &named(&self.parents, names))?;
        if self.selection == Selection::All {
            return Ok(all);
        }
        let name = names.last().map(String::as_str).unwrap_or_default();
        let mut all = all.as_array().into_iter().flatten();
        let one = all.find(|one| one["name"] == name);
        one.cloned()
            .ok_or_else(|| CommandError::not_found(self.resource.word(), name))
    }
}

/// The parents that a path names, from the nearest: in a path that is the last.
fn named(parents: &[Resource], names: &[String]) -> Vec<Parent> {
    let names = names[..parents.len().min(names.len())].iter().rev();
    let parent = |(resource, name): (&Resource, &String)| Parent {
        resource: *resource,
        name: name.clone(),
    };
    parents.iter().zip(names).map(parent).collect()
}

impl Change {
    /// The command that a request expresses.
    ///
    /// # Errors
    /// When names or body are not those of a command.
    pub(super) fn command(
        &self,
        names: &[String],
        removal: Removal,
        body: &[u8],
    ) -> Result<Parsed, BodyError> {
        let parents: Vec<Resource> = self.within.into_iter().collect();
        let parents = named(&parents, names);
        let name = names.last().cloned().unwrap_or_default();
        let fields = self.fields.as_deref().unwrap_or_default();
        let with_path = |mut object: Map<String, Value>| {
            if let Some(parent) = parents.first() {
                object.insert("in".to_owned(), parent.name.clone().into());
            }
            // A body that adds a resource names it.
            object.entry("name").or_insert(name.clone().into());
            Value::Object(object)
        };
        let resource = self.resource;
        let mut ignored = Vec::new();
        let command = match self.action {
            Action::Add => {
                let object = body::read(body, resource, fields, &mut ignored)?;
                Command::Add(resource.add_from_json(with_path(object))?)
            }
            Action::Update => {
                let object = body::read(body, resource, fields, &mut ignored)?;
                Command::Update(resource.update_from_json(with_path(object))?)
            }
            action => {
                let removal = match action {
                    Action::ForceRemove => Removal::Force,
                    _ => removal,
                };
                Command::remove(resource, name, &parents, removal)?
            }
        };
        Ok(Parsed::new(command, ignored))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.resource)?;
        match self.within {
            Some(parent) => write!(f, " {} {parent}", self.action.prepositions()[0]),
            None => Ok(()),
        }
    }
}
