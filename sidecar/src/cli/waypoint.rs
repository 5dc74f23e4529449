//! `sidecar waypoint`: balances the replicas of a service in somebody's project.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use super::resolver::ResolverArgs;
use super::usable;
use super::values::{address, seconds};
use crate::balance::Protocol;
use crate::diagnostic::Diagnostics;
use crate::handover::State;
use crate::log::LogFormat;
use crate::settings::{Settings, WaypointSettings};
use crate::status::{Clients, DEFAULT_STATUS};
use crate::waypoint::{Check, Config, DEFAULT_HOLD, Port, Target};

/// The environment variable with the target, if the command line has none.
const VARIABLE: &str = "SIDECAR_WAYPOINT";

/// The directory of the files.
const DIRECTORY: &str = "/etc/mesh";

/// The arguments of `sidecar waypoint`.
#[derive(Debug, Args)]
pub(super) struct WaypointArgs {
    /// The service's name, whose file is /etc/mesh/NAME.json; or HOST:PORT[/PROTOCOL][,PORT[/PROTOCOL]...], for instance
    /// api:8080/http,9090, with tcp, http/1.x, h2 or http as PROTOCOL; or set SIDECAR_WAYPOINT
    target: Option<String>,
    /// The file, instead of /etc/mesh/NAME.json
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Time for which a connection waits while no endpoint takes it, in milliseconds, with HOST:PORT
    #[arg(long, value_name = "MS", default_value_t = DEFAULT_HOLD)]
    hold: u64,
    /// Time without a byte after which a connection is reset, in milliseconds, with HOST:PORT; 0 resets none
    #[arg(long, value_name = "MS", default_value = "0")]
    idle_timeout: u64,
    /// How endpoints are checked, with HOST:PORT: tcp, passive or http:PATH
    #[arg(long, value_name = "CHECK", default_value = "tcp")]
    check: Check,
    /// Address that the ports are opened on; by default all, of both families
    #[arg(long, value_name = "IP")]
    listen: Option<IpAddr>,
    /// Address of /healthz, /readyz and /metrics, which `sidecar get` reads
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_STATUS, value_parser = address)]
    status: SocketAddr,
    #[command(flatten)]
    resolver: ResolverArgs,
    /// Number of threads that relay connections
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// Format of the log
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(super) log_format: LogFormat,
    /// Time until open connections are aborted when the waypoint stops, in seconds; until then it refuses new ones
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    drain: Duration,
}

impl WaypointArgs {
    fn target(&self) -> anyhow::Result<Target> {
        if let (Some(file), None) = (&self.file, &self.target) {
            return Ok(Target::File(file.clone()));
        }
        let target = match &self.target {
            Some(target) => target.clone(),
            None => std::env::var(VARIABLE).with_context(|| {
                format!("expected the service's name or HOST:PORT, or the variable {VARIABLE}")
            })?,
        };
        if target.contains(':') {
            let like = Port {
                port: 1,
                protocol: Protocol::Tcp,
                hold: self.hold,
                idle_timeout: self.idle_timeout,
                check: self.check.clone(),
            };
            return Ok(Target::Fixed(Config::of_target(&target, &like)?));
        }
        if target.is_empty() || target.starts_with('.') || target.contains('/') {
            bail!("{target:?} is not a service's name; expected one such as api, or HOST:PORT");
        }
        let file = PathBuf::from(DIRECTORY).join(format!("{target}.json"));
        Ok(Target::File(self.file.clone().unwrap_or(file)))
    }

    /// The settings of a sidecar that is a waypoint and nothing else. It goes on with the configuration of an `earlier`
    /// process.
    pub(super) fn into_settings(self, earlier: Option<State>) -> anyhow::Result<Settings> {
        let mut errors = Vec::new();
        let script = earlier
            .as_ref()
            .map(|state| usable(state.control.script(), &mut errors));
        if !errors.is_empty() {
            bail!(
                "the configuration of the earlier process has errors:\n{}",
                Diagnostics(errors)
            );
        }
        let target = self.target()?;
        Ok(Settings {
            script: script.unwrap_or_default(),
            earlier,
            autosave: None,
            discovery: None,
            http_controller: None,
            resp_controller: None,
            allow_open_proxies: false,
            waypoint: Some(WaypointSettings {
                target,
                listen: self.listen,
            }),
            resolver: self.resolver.settings(),
            status: Some(self.status),
            status_clients: Clients::of(Vec::new()),
            allowed_hosts: Vec::new(),
            workers: usize::from(self.workers),
            withdraw: Duration::ZERO,
            program_grace: Duration::ZERO,
            drain: self.drain,
            end_with_stdin: false,
        })
    }
}
