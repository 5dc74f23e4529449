//! `sidecar key`: makes a mesh key.

use std::io::{self, Write};

use anyhow::Context;
use rand::RngExt;

use crate::mesh::key::keys;

/// Prints a new key as a line of a key file.
///
/// # Errors
/// When standard output cannot be written.
pub(super) fn print() -> anyhow::Result<()> {
    let key = keys::encode(rand::rng().random());
    writeln!(io::stdout(), "{key}").context("cannot print the key")
}
