//! The checked settings of the command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::control::Script;
use crate::control::credential::Credential;
use crate::dns;
use crate::handover::State;
use crate::http::HostName;
use crate::mesh;
use crate::status::Clients;
use crate::waypoint;

/// The environment variable with the HTTP controller's token.
pub(crate) const HTTP_TOKEN: &str = "SIDECAR_HTTP_TOKEN";
/// The environment variable with the RESP controller's password.
pub(crate) const RESP_PASSWORD: &str = "SIDECAR_RESP_PASSWORD";

/// The environment variable with the name of the mesh key's file.
pub(crate) const KEY_FILE: &str = "SIDECAR_DISCOVERY_KEY_FILE";

/// The environment variables with secrets, which the program is not given.
pub(crate) const SECRETS: [&str; 2] = [HTTP_TOKEN, RESP_PASSWORD];

/// The settings of a sidecar.
#[derive(Debug)]
pub struct Settings {
    pub(crate) script: Script,
    /// The state of the process that this one takes over from.
    pub(crate) earlier: Option<State>,
    pub(crate) autosave: Option<PathBuf>,
    pub(crate) discovery: Option<mesh::DiscoverySettings>,
    pub(crate) http_controller: Option<ControllerAddress>,
    pub(crate) resp_controller: Option<ControllerAddress>,
    pub(crate) allow_open_proxies: bool,
    /// What it balances, if it is a waypoint.
    pub(crate) waypoint: Option<WaypointSettings>,
    pub(crate) resolver: dns::Settings,
    pub(crate) status: Option<SocketAddr>,
    pub(crate) status_clients: Clients,
    /// Names by which HTTP clients may call the sidecar, apart from those that always pass.
    pub(crate) allowed_hosts: Vec<HostName>,
    pub(crate) workers: usize,
    pub(crate) withdraw: Duration,
    pub(crate) program_grace: Duration,
    pub(crate) drain: Duration,
    pub(crate) end_with_stdin: bool,
}

/// The address of a controller, and the credential that its callers must present.
#[derive(Debug)]
pub(crate) struct ControllerAddress {
    pub(crate) address: SocketAddr,
    pub(crate) credential: Option<Credential>,
}

/// What a waypoint balances.
#[derive(Debug)]
pub(crate) struct WaypointSettings {
    pub(crate) target: waypoint::Target,
    /// The address that its ports are opened on; `None` is all.
    pub(crate) listen: Option<IpAddr>,
}
