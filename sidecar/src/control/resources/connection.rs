//! `connection`: one side of a session.

use std::net::SocketAddr;

use serde::Serialize;
use utoipa::ToSchema;

use super::listener::IN_LISTENER;
use super::spec::Spec;
use super::{Answer, Api, CHANNEL, Listing, Parent, Read};
use crate::control::error::CommandError;
use crate::proxy::SessionView;

pub(super) const SPEC: Spec = Spec {
    word: "connection",
    short: Some("conn"),
    help: "one side of a session; read-only",
    within: IN_LISTENER,
    keys: &[],
    unsupported: &[],
};

/// The remote and the local address of each side.
fn sides(session: &SessionView) -> impl Iterator<Item = (SocketAddr, SocketAddr)> {
    let instance = session.instance.zip(session.instance_local);
    std::iter::once((session.client, session.local)).chain(instance)
}

pub(super) fn list(read: &Read<'_>, parents: &[Parent], detail: bool) -> Result<Listing, CommandError> {
    let sessions = read.listener(parents)?.listener().sessions();
    let sides = sessions.iter().flat_map(sides);
    let lines = sides.map(|(remote, local)| format!("{remote}/{local}"));
    Ok(Listing::counted(lines.collect(), detail))
}

pub(super) fn api() -> Api {
    Api::Reading {
        root: CHANNEL,
        last: "conn",
        answer: Answer::list(|read, parents| {
            let sessions = read.listener(parents)?.listener().sessions();
            let shown = sessions.iter().flat_map(sides).map(|(remote, local)| Connection {
                remote: remote.to_string(),
                local: local.to_string(),
            });
            Ok(shown.collect())
        }),
    }
}

/// One side of a session.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Connection {
    /// The client's address, or the instance's.
    remote: String,
    /// The sidecar's own.
    local: String,
}
