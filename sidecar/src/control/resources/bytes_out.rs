//! `bytes-out`: bytes from instances to clients.

use super::figure::{self, COUNTED};
use super::spec::Spec;
use super::{Api, Listing, Parent, Read};
use crate::balance::Totals;
use crate::control::error::CommandError;

pub(super) const SPEC: Spec = Spec {
    word: "bytes-out",
    short: Some("bout"),
    help: "bytes from instances to clients; read-only",
    within: COUNTED,
    keys: &[],
    foreign: &[],
};

fn figure(totals: Totals) -> u64 {
    totals.to_client
}

pub(super) fn list(read: &Read<'_>, parents: &[Parent], _: bool) -> Result<Listing, CommandError> {
    figure::list(read, parents, figure)
}

pub(super) fn api() -> Api {
    figure::api(SPEC.word, figure)
}
