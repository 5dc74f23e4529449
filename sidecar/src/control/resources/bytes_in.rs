//! `bytes-in`: bytes from clients to instances.

use super::figure::{self, COUNTED};
use super::spec::Spec;
use super::{Api, Listing, Parent, Read};
use crate::balance::Totals;
use crate::control::error::CommandError;

pub(super) const SPEC: Spec = Spec {
    word: "bytes-in",
    short: Some("bin"),
    help: "bytes from clients to instances; read-only",
    within: COUNTED,
    keys: &[],
    foreign: &[],
};

fn figure(totals: Totals) -> u64 {
    totals.to_instance
}

pub(super) fn list(read: &Read<'_>, parents: &[Parent], _: bool) -> Result<Listing, CommandError> {
    figure::list(read, parents, figure)
}

pub(super) fn api() -> Api {
    figure::api(SPEC.word, figure)
}
