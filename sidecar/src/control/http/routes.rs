//! Every path and its meaning, generated from the resources' specifications: the table for the router and the API
//! document.

use std::fmt;
use std::sync::LazyLock;

use hyper::Method;
use serde_json::{Map, Value};

use super::body::{self, BodyError};
use crate::control::command::Command;
use crate::control::error::CommandError;
use crate::control::remarks::Parsed;
use crate::control::resources::{Answer, Api, BodyField, Description, Parent, Read, Removal, Resource};
use crate::control::sentence::Action;

/// Under this path are the resources that commands configure.
const MODULE: &str = "/api/v1/module";

/// A method and path, and their meaning.
pub(super) struct Route {
    pub(super) method: Method,
    /// Segments in braces stand for names.
    pub(super) path: String,
    /// What it does, in a few words.
    pub(super) about: String,
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
    resource: Resource,
    /// The kind of resource that contains it, given by the first name of the path.
    within: Option<Resource>,
    /// The body's fields; a removal has no body.
    pub(super) fields: Option<Vec<BodyField>>,
}

type Reader = dyn Fn(&Read<'_>, &[String]) -> Result<Value, CommandError> + Send + Sync;

/// A read, and the description of its answer.
pub(super) struct Reading {
    pub(super) read: Box<Reader>,
    /// Describes one item.
    pub(super) describe: fn() -> Description,
    /// Whether the answer is a list of items.
    pub(super) is_list: bool,
}

/// Every route.
pub(super) static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let resources = Resource::ALL.iter();
    let mut routes: Vec<Route> = resources.flat_map(|resource| of(*resource)).collect();
    let get = |path: &str, about: &str, leads| Route {
        method: Method::GET,
        path: path.to_owned(),
        about: about.to_owned(),
        leads,
    };
    routes.push(get(
        "/api/v1/state/dns-cache",
        "list names that were resolved: none is kept",
        Leads::Nothing,
    ));
    routes.push(get(
        "/api/v1/openapi.json",
        "read this description",
        Leads::Document,
    ));
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
            about: change.to_string(),
            leads: Leads::Change(change),
        }
    }

    fn read(path: String, about: String, reading: Reading) -> Self {
        Self {
            method: Method::GET,
            path,
            about,
            leads: Leads::Read(reading),
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
    let (all, about) = match within {
        Some(parent) => (
            format!("{MODULE}/{parent}/{{{parent}}}/{resource}"),
            format!("{resource} in {parent}"),
        ),
        None => (format!("{MODULE}/{resource}"), resource.to_string()),
    };
    let one = format!("{all}/{{{resource}}}");
    let change = |action, fields| Change {
        action,
        resource,
        within,
        fields,
    };
    let spec = resource.spec();
    let mut routes = vec![
        Route::read(
            all.clone(),
            format!("list {about}"),
            whole(within.into_iter().collect(), short.clone()),
        ),
        Route::change(Method::POST, &all, change(Action::Add, Some(spec.add_fields()))),
        Route::read(one.clone(), format!("read one {about}"), one_of(resource, short)),
        Route::read(
            format!("{one}/detail"),
            format!("read one {about} in detail"),
            one_of(resource, detail),
        ),
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
        let about: String = parents.iter().map(|parent| format!(" in {parent}")).collect();
        let path = format!("{root}{at}/{last}");
        routes.push(Route::read(
            path.clone(),
            format!("list {resource}{about}"),
            whole(parents.to_vec(), answer.clone()),
        ));
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

/// All items of an answer, for a path that names these parents.
fn whole(parents: Vec<Resource>, answer: Answer) -> Reading {
    let Answer {
        read,
        describe,
        is_list,
    } = answer;
    Reading {
        read: Box::new(move |at, names| read(at, &named(&parents, names))),
        describe,
        is_list,
    }
}

/// The item of a list that has the path's last name.
fn one_of(resource: Resource, answer: Answer) -> Reading {
    let parents: Vec<Resource> = resource.parent().into_iter().collect();
    let Answer { read, describe, .. } = answer;
    let one = move |at: &Read<'_>, names: &[String]| {
        let name = names.last().map(String::as_str).unwrap_or_default();
        let all = read(at, &named(&parents, names))?;
        let mut all = all.as_array().into_iter().flatten();
        let one = all.find(|one| one["name"] == name);
        one.cloned()
            .ok_or_else(|| CommandError::not_found(resource.word(), name))
    };
    Reading {
        read: Box::new(one),
        describe,
        is_list: false,
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

    /// Whether the change removes a resource.
    pub(super) fn removes(&self) -> bool {
        self.fields.is_none()
    }

    pub(super) fn resource(&self) -> Resource {
        self.resource
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
