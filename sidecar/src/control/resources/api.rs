//! The answers about a resource over HTTP. Only tests need their schemas, since they write the API document.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

#[cfg(test)]
use super::schema::AnswerSchema;
use super::schema::Item;
use super::{Parent, Read, parent_name};
use crate::control::error::CommandError;

/// The paths at which a resource is shown, and their answers.
pub(in crate::control) enum Api {
    /// `/api/v1/module/...`: a list of all resources in a parent; one of them, in short or in detail.
    Module { short: Answer, detail: Answer },
    /// `ROOT/PARENTS/LAST`: items that belong to parents.
    Reading {
        root: &'static str,
        last: &'static str,
        answer: Answer,
    },
}

type Reader = dyn Fn(&Read<'_>, &[Parent]) -> Result<Value, CommandError> + Send + Sync;

/// Reads an answer.
#[derive(Clone)]
pub(in crate::control) struct Answer {
    pub(in crate::control) read: Arc<Reader>,
    /// Its schema in the API document.
    #[cfg(test)]
    pub(in crate::control) schema: Arc<AnswerSchema>,
}

impl Api {
    /// The paths of a resource that commands configure.
    pub(super) fn module<S, D>(
        short: fn(&Read<'_>, &str) -> Result<Vec<S>, CommandError>,
        detail: fn(&Read<'_>, &str) -> Result<Vec<D>, CommandError>,
    ) -> Self
    where
        S: Item + 'static,
        D: Item + 'static,
    {
        Self::Module {
            short: Answer::list(move |read, parents| short(read, parent_name(parents))),
            detail: Answer::list(move |read, parents| detail(read, parent_name(parents))),
        }
    }
}

impl Answer {
    /// A list.
    pub(super) fn list<T: Item>(
        read: impl Fn(&Read<'_>, &[Parent]) -> Result<Vec<T>, CommandError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            read: Arc::new(move |at, parents| value(&read(at, parents)?)),
            #[cfg(test)]
            schema: Arc::new(AnswerSchema::new::<T>(true)),
        }
    }

    /// An object.
    pub(super) fn object<T: Item>(
        read: impl Fn(&Read<'_>, &[Parent]) -> Result<T, CommandError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            read: Arc::new(move |at, parents| value(&read(at, parents)?)),
            #[cfg(test)]
            schema: Arc::new(AnswerSchema::new::<T>(false)),
        }
    }
}

fn value(answer: &impl Serialize) -> Result<Value, CommandError> {
    serde_json::to_value(answer).map_err(|error| CommandError::invalid("", error.to_string()))
}

/// Whether something takes connections.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(super) enum Status {
    #[serde(rename = "UP")]
    Up,
    #[serde(rename = "DOWN")]
    Down,
}

impl From<bool> for Status {
    fn from(up: bool) -> Self {
        if up { Self::Up } else { Self::Down }
    }
}

impl Status {
    /// The line that `list-detail` shows.
    pub(super) fn word(up: bool) -> &'static str {
        if up { "UP" } else { "DOWN" }
    }
}
