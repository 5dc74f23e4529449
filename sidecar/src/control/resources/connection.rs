//! `connection`: one side of a session.

use std::net::SocketAddr;

use serde::Serialize;

use super::spec::Spec;
use super::{Answer, Api, CHANNEL, Listing, Parent, Read, Resource, server};
use crate::control::error::CommandError;
use crate::proxy::SessionView;

pub(super) const SPEC: Spec = Spec {
    word: "connection",
    short: Some("conn"),
    help: "one side of a session; read-only",
    within: &[
        &[Resource::TcpLb],
        &[Resource::Socks5Server],
        &[Resource::HttpProxy],
        &[Resource::Server, Resource::ServerGroup],
    ],
    keys: &[],
    foreign: &[],
};

/// The remote and the local address of a connection.
type Ends = (SocketAddr, SocketAddr);

/// A listener's connections to clients and to instances, or the connections of all listeners to a server.
fn connections(read: &Read<'_>, parents: &[Parent]) -> Result<Vec<Ends>, CommandError> {
    let [server, group] = parents else {
        let sessions = read.listener(parents)?.listener().sessions();
        let client = |session: &SessionView| (session.client, session.local);
        let both = |session: &SessionView| std::iter::once(client(session)).chain(to_instance(session));
        return Ok(sessions.iter().flat_map(both).collect());
    };
    let servers = server::servers(read, &group.name)?;
    if !servers.iter().any(|known| known.name == server.name) {
        return Err(CommandError::not_found(server.resource.word(), &server.name));
    }
    let listeners = read.running.all_listeners();
    let sessions = listeners.iter().flat_map(|handle| handle.listener().sessions());
    let is_to = |session: &SessionView| {
        session.group.as_ref() == Some(&group.name) && session.server.as_ref() == Some(&server.name)
    };
    Ok(sessions
        .filter(is_to)
        .filter_map(|session| to_instance(&session))
        .collect())
}

fn to_instance(session: &SessionView) -> Option<Ends> {
    session.instance.zip(session.instance_local)
}

pub(super) fn list(read: &Read<'_>, parents: &[Parent], detail: bool) -> Result<Listing, CommandError> {
    let connections = connections(read, parents)?.into_iter();
    let lines = connections.map(|(remote, local)| format!("{remote}/{local}"));
    Ok(Listing::counted(lines.collect(), detail))
}

pub(super) fn api() -> Api {
    Api::Reading {
        root: CHANNEL,
        last: "conn",
        answer: Answer::list(|read, parents| {
            let connections = connections(read, parents)?.into_iter();
            let shown = connections.map(|(remote, local)| Connection {
                remote: remote.to_string(),
                local: local.to_string(),
            });
            Ok(shown.collect())
        }),
    }
}

/// One side of a session.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct Connection {
    /// The client's address, or the instance's.
    remote: String,
    /// The sidecar's own.
    local: String,
}
