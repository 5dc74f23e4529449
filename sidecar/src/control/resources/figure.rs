//! The parents that have counters, shared by `bytes-in`, `bytes-out` and `accepted-conn-count`.

use std::net::SocketAddr;

use serde::Serialize;

use super::{Answer, Api, Listing, Parent, Read, Resource, server};
use crate::balance::Totals;
use crate::control::error::CommandError;

/// The parents that have counters.
pub(super) const COUNTED: &[&[Resource]] = &[
    &[Resource::TcpLb],
    &[Resource::Socks5Server],
    &[Resource::HttpProxy],
    &[Resource::BindServer, Resource::TcpLb],
    &[Resource::BindServer, Resource::Socks5Server],
    &[Resource::BindServer, Resource::HttpProxy],
    &[Resource::Server, Resource::ServerGroup],
];

fn totals(read: &Read<'_>, parents: &[Parent]) -> Result<Totals, CommandError> {
    let [Parent { resource, name }, ..] = parents else {
        return read
            .listener(parents)
            .map(|listener| listener.listener().totals());
    };
    let not_found = || CommandError::not_found(resource.word(), name);
    match (resource, parents) {
        (Resource::Server, [_, Parent { name: group, .. }]) => {
            let servers = server::servers(read, group)?;
            let server = servers.into_iter().find(|server| server.name == *name);
            Ok(server.ok_or_else(not_found)?.totals)
        }
        (Resource::BindServer, _) => {
            let listener = read.listener(parents)?;
            let listener = listener.listener();
            let bound = name.parse::<SocketAddr>().ok() == Some(listener.local_addr());
            bound.then(|| listener.totals()).ok_or_else(not_found)
        }
        _ => read
            .listener(parents)
            .map(|listener| listener.listener().totals()),
    }
}

pub(super) fn list(
    read: &Read<'_>,
    parents: &[Parent],
    figure: fn(Totals) -> u64,
) -> Result<Listing, CommandError> {
    totals(read, parents).map(|totals| Listing::Count(figure(totals)))
}

pub(super) fn api(last: &'static str, figure: fn(Totals) -> u64) -> Api {
    Api::Reading {
        root: "/api/v1/statistics",
        last,
        answer: Answer::object(move |read, parents| {
            let value = figure(totals(read, parents)?);
            Ok(Figure { value })
        }),
    }
}

/// A counter.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct Figure {
    /// Total since the beginning: bytes or connections.
    value: u64,
}
