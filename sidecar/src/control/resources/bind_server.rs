//! `bind-server`: an address that a listener is bound to.

use serde::Serialize;

use super::listener::IN_LISTENER;
use super::spec::Spec;
use super::{Answer, Api, CHANNEL, Listing, Parent, Read};
use crate::control::error::CommandError;

pub(super) const SPEC: Spec = Spec {
    word: "bind-server",
    short: Some("bs"),
    help: "an address that a listener is bound to; read-only",
    within: IN_LISTENER,
    keys: &[],
    foreign: &[],
};

pub(super) fn list(read: &Read<'_>, parents: &[Parent], detail: bool) -> Result<Listing, CommandError> {
    let address = read.listener(parents)?.listener().local_addr();
    Ok(Listing::counted(vec![address.to_string()], detail))
}

pub(super) fn api() -> Api {
    Api::Reading {
        root: CHANNEL,
        last: SPEC.word,
        answer: Answer::list(|read, parents| {
            let address = read.listener(parents)?.listener().local_addr().to_string();
            Ok(vec![BindServer { address }])
        }),
    }
}

/// An address that a listener is bound to.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct BindServer {
    /// The address.
    address: String,
}
