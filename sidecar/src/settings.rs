//! What the sidecar runs on: what was asked for on its command line, checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::control::Script;
use crate::control::credential::Credential;
use crate::mesh;

/// The variable that holds the HTTP controller's token.
pub(crate) const HTTP_TOKEN: &str = "SIDECAR_HTTP_TOKEN";
/// The variable that holds the RESP controller's password.
pub(crate) const RESP_PASSWORD: &str = "SIDECAR_RESP_PASSWORD";

/// The variables that hold secrets: they are the sidecar's and not its program's.
pub(crate) const SECRETS: [&str; 2] = [HTTP_TOKEN, RESP_PASSWORD];

/// What the sidecar runs on.
#[derive(Debug)]
pub struct Settings {
    pub(crate) script: Script,
    pub(crate) autosave: Option<PathBuf>,
    pub(crate) discovery: Option<mesh::DiscoverySettings>,
    pub(crate) http_controller: Option<Door>,
    pub(crate) resp_controller: Option<Door>,
    pub(crate) status: Option<SocketAddr>,
    pub(crate) workers: usize,
    pub(crate) program_grace: Duration,
    pub(crate) drain: Duration,
    pub(crate) end_with_stdin: bool,
    pub(crate) program: Vec<String>,
}

/// Where a controller listens, and what it asks of those who come.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) credential: Option<Credential>,
}
