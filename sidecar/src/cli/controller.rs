//! The controllers' flags: an address, and where its credential comes from.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, bail};

use crate::control::credential::Credential;
use crate::settings::ControllerAddress;

/// Reads the credential of a controller from a file or a variable, and refuses an open address without one.
pub(super) fn controller(
    (flag, address): (&str, SocketAddr),
    (file_flag, file): (&str, Option<&Path>),
    variable: &str,
    allow_open: bool,
) -> anyhow::Result<ControllerAddress> {
    let found = Credential::read(file, variable);
    let credential = found.with_context(|| format!("{flag} has no usable credential"))?;
    if credential.is_none() && !allow_open && !address.ip().to_canonical().is_loopback() {
        bail!(
            "{flag} {address}: anyone who can reach this address could command the sidecar. Give it a credential \
             with {file_flag} FILE or the environment variable {variable}, listen on 127.0.0.1, or allow this \
             with --allow-open-controllers"
        );
    }
    Ok(ControllerAddress { address, credential })
}

/// A controller that requires the token that the program is given.
pub(super) fn controller_of_program(
    (flag, address): (&str, SocketAddr),
    variable: &str,
    token: &OsStr,
) -> anyhow::Result<ControllerAddress> {
    let credential = Credential::from_text(variable, token.as_encoded_bytes());
    let credential = credential.with_context(|| format!("{flag} has no usable credential"))?;
    Ok(ControllerAddress {
        address,
        credential: Some(credential),
    })
}
