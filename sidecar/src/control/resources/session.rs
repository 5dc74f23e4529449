//! `session`: a client's connection and the one to its instance.

use serde::Serialize;

use super::listener::IN_LISTENER;
use super::spec::Spec;
use super::{Answer, Api, Apply, CHANNEL, Listing, Parent, Read};
use crate::control::error::CommandError;
use crate::control::running::ListenerName;
use crate::control::sessions::SessionPattern;
use crate::proxy::SessionView;

pub(super) const SPEC: Spec = Spec {
    word: "session",
    short: Some("sess"),
    help: "a client's connection and the one to its instance; can be aborted with force-remove",
    within: IN_LISTENER,
    keys: &[],
    foreign: &[],
};

/// `CLIENT->INSTANCE`; before it has an instance, nothing follows the arrow.
fn line(session: &SessionView) -> String {
    let instance = session.instance.map(|i| i.to_string()).unwrap_or_default();
    format!("{}->{instance}", session.client)
}

/// Aborts the sessions of a listener that match.
pub(in crate::control) fn remove(
    at: &Apply<'_>,
    which: &SessionPattern,
    listener: &ListenerName,
) -> Result<(), CommandError> {
    let handle = at.running.listeners.get(listener);
    let handle = handle.ok_or_else(|| listener.id().not_found())?;
    let matches = |session: &SessionView| which.matches(&line(session));
    match handle.listener().abort_sessions(matches) {
        0 => Err(CommandError::not_found(SPEC.word, which.to_string())),
        _ => Ok(()),
    }
}

pub(super) fn list(read: &Read<'_>, parents: &[Parent], detail: bool) -> Result<Listing, CommandError> {
    let sessions = read.listener(parents)?.listener().sessions();
    Ok(Listing::counted(sessions.iter().map(line).collect(), detail))
}

pub(super) fn api() -> Api {
    Api::Reading {
        root: CHANNEL,
        last: SPEC.word,
        answer: Answer::list(|read, parents| {
            let sessions = read.listener(parents)?.listener().sessions();
            Ok(sessions.into_iter().map(Session::from).collect())
        }),
    }
}

/// A client's connection and the one to its instance.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Session {
    /// The client's address.
    client: String,
    /// The sidecar's address that the client is connected to.
    local: String,
    /// The instance's address; null while there is none.
    #[cfg_attr(test, schema(required))]
    instance: Option<String>,
    /// The sidecar's address that the instance is connected to; null while there is none.
    #[cfg_attr(test, schema(required))]
    instance_local: Option<String>,
    /// The backends' name, or what a SOCKS5 client asked for; empty until that is known.
    destination: String,
    /// Bytes passed to the instance so far.
    bytes_in: u64,
    /// Bytes passed to the client so far.
    bytes_out: u64,
    /// Time since it was accepted, in milliseconds.
    age: u64,
}

impl From<SessionView> for Session {
    fn from(session: SessionView) -> Self {
        Self {
            client: session.client.to_string(),
            local: session.local.to_string(),
            instance: session.instance.map(|address| address.to_string()),
            instance_local: session.instance_local.map(|address| address.to_string()),
            destination: session.destination,
            bytes_in: session.to_instance,
            bytes_out: session.to_client,
            age: u64::try_from(session.age.as_millis()).unwrap_or(u64::MAX),
        }
    }
}
