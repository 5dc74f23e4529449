//! The places that have counters, shared by `bytes-in`, `bytes-out` and `accepted-conn-count`.

use std::net::SocketAddr;

use serde::Serialize;
use utoipa::ToSchema;

use super::{Answer, Api, Listing, Place, Read, Resource, server};
use crate::balance::Totals;
use crate::control::error::CommandError;

/// The places that have counters.
pub(super) const COUNTED: &[&[Resource]] = &[
    &[Resource::TcpLb],
    &[Resource::Socks5Server],
    &[Resource::BindServer, Resource::TcpLb],
    &[Resource::BindServer, Resource::Socks5Server],
    &[Resource::Server, Resource::ServerGroup],
];

fn totals(read: &Read<'_>, places: &[Place]) -> Result<Totals, CommandError> {
    let [Place { resource, name }, ..] = places else {
        return read.listener(places).map(|listener| listener.listener().totals());
    };
    let not_found = || CommandError::not_found(resource.word(), name);
    match (resource, places) {
        (Resource::Server, [_, Place { name: group, .. }]) => {
            let servers = server::servers(read, group)?;
            let server = servers.into_iter().find(|server| server.name == *name);
            Ok(server.ok_or_else(not_found)?.totals)
        }
        (Resource::BindServer, _) => {
            let listener = read.listener(places)?;
            let listener = listener.listener();
            let bound = name.parse::<SocketAddr>().ok() == Some(listener.local_addr());
            bound.then(|| listener.totals()).ok_or_else(not_found)
        }
        _ => read.listener(places).map(|listener| listener.listener().totals()),
    }
}

pub(super) fn list(
    read: &Read<'_>,
    places: &[Place],
    figure: fn(Totals) -> u64,
) -> Result<Listing, CommandError> {
    totals(read, places).map(|totals| Listing::Count(figure(totals)))
}

pub(super) fn api(last: &'static str, figure: fn(Totals) -> u64) -> Api {
    Api::Reading {
        root: "/api/v1/statistics",
        last,
        answer: Answer::object(move |read, places| {
            let value = figure(totals(read, places)?);
            Ok(Figure { value })
        }),
    }
}

/// A counter.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Figure {
    /// Total since the beginning: bytes or connections.
    value: u64,
}
