//! The command line: parses the arguments, and checks them once into [`Settings`].

mod check;
mod controller;
mod discovery;
mod key;
mod request;
mod resolver;
mod values;
mod waypoint;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use ipnet::IpNet;

use self::check::CheckArgs;
use self::controller::{controller, controller_of_program};
use self::discovery::DiscoveryArgs;
use self::request::{GetArgs, ProbeArgs};
use self::resolver::ResolverArgs;
use self::waypoint::WaypointArgs;
use crate::activation::ActivatedSockets;
use crate::app::Inherited;
use crate::control::credential;
use crate::control::{Script, autosave, reference};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::handover::{self, Predecessor, RelaunchArgs, State};
use crate::http::HostName;
use crate::log::LogFormat;
use crate::settings::{HTTP_TOKEN, RESP_PASSWORD, SECRETS, Settings};
use crate::status::Clients;
use crate::supervise::launcher::{self, DeathSignal, LaunchArgs};
use crate::supervise::{Launcher, signals};
use crate::text_file::read;
use crate::{app, http_probe, listening};
use values::{address, network, seconds};

const FAILPOINTS: &str = if cfg!(feature = "failpoints") {
    "THIS BUILD HAS FAILPOINTS, see SIDECAR_FAILPOINT. It only serves to check the tests."
} else {
    ""
};

const AFTER_HELP: &str = "With a PROGRAM, the sidecar starts it once its own listeners are bound, forwards signals to it, and \
                          exits with its code. The first of SIGTERM, SIGINT and SIGQUIT stops gracefully: it is \
                          forwarded once the program's instances are withdrawn from the mesh. SIGQUIT after another of \
                          them stops at once.\n\nWithout a PROGRAM, SIGUSR2 restarts the sidecar, possibly with a new \
                          executable in the old one's place, without losing a connection; its configuration, \
                          registrations and knowledge of the mesh are kept.\n\nThe log goes to standard error; RUST_LOG \
                          sets its level, for instance RUST_LOG=debug or RUST_LOG=sidecar::mesh=debug.";

/// The proxy that runs beside each service of the mesh
#[derive(Debug, Parser)]
#[command(
    name = "sidecar",
    version,
    args_conflicts_with_subcommands = true,
    before_help = FAILPOINTS,
    after_help = AFTER_HELP,
    after_long_help = format!("{AFTER_HELP}\n\n{}", reference::help())
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Request a URL and exit with 0 if the answer is 2xx, else with 1: a health check for images without a shell
    Probe(ProbeArgs),
    /// Print the answer of the status listener, for images without a shell
    Get(GetArgs),
    /// Balance the replicas of a service in somebody's project, under its name
    Waypoint(WaypointArgs),
    /// Print a new mesh key, a line for the file that discovery.key_file names
    Key,
    /// Check whether config files would load, without starting anything; exit with 0 if they would, else with 1
    Check(CheckArgs),
    /// Print the TCP ports on which programs listen in this network namespace, other than on loopback, a line each
    Listening,
    /// Becomes the program; the sidecar starts itself so
    #[command(name = launcher::SUBCOMMAND, hide = true)]
    Launch(LaunchArgs),
    /// Becomes the successor; the sidecar restarts itself so
    #[command(name = handover::launch::SUBCOMMAND, hide = true)]
    Relaunch(RelaunchArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Config files, one command per line, executed in order
    #[arg(long, value_name = "FILE", num_args = 1..)]
    load: Vec<PathBuf>,
    /// File to save the configuration to after every change; if it exists, the sidecar starts from it instead of from
    /// --load
    #[arg(long, value_name = "FILE")]
    autosave: Option<PathBuf>,
    #[command(flatten)]
    discovery: DiscoveryArgs,
    /// Address for commands over HTTP, for instance 127.0.0.1:18080; services register themselves there
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    http_controller: Option<SocketAddr>,
    /// File with the token that requests to --http-controller must present; or set SIDECAR_HTTP_TOKEN
    #[arg(long, value_name = "FILE", requires = "http_controller")]
    http_token_file: Option<PathBuf>,
    /// Require a token of --http-controller that is made at the start and that only PROGRAM is given, in SIDECAR_HTTP_TOKEN
    #[arg(long, requires_all = ["http_controller", "program"], conflicts_with = "http_token_file")]
    http_program_token: bool,
    /// That token.
    #[arg(skip)]
    program_token: Option<OsString>,
    /// Address for commands over the redis protocol, for instance 127.0.0.1:16379
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    resp_controller: Option<SocketAddr>,
    /// File with the password for --resp-controller; or set SIDECAR_RESP_PASSWORD
    #[arg(long, value_name = "FILE", requires = "resp_controller")]
    resp_password_file: Option<PathBuf>,
    /// Allow controllers to listen on addresses other than loopback without a password or token
    #[arg(long)]
    allow_open_controllers: bool,
    /// Allow SOCKS5 servers with allow-non-backend to listen on addresses other than loopback
    #[arg(long)]
    allow_open_proxies: bool,
    #[command(flatten)]
    resolver: ResolverArgs,
    /// Address of /healthz, /readyz, /mesh and /metrics (read-only), for instance 0.0.0.0:9090
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    status: Option<SocketAddr>,
    /// Networks whose clients --status answers, for instance 192.0.2.0/24, beside those of loopback; by default all
    #[arg(long, value_name = "NETWORK", num_args = 1.., value_parser = network, requires = "status")]
    status_clients: Vec<IpNet>,
    /// Host names by which --http-controller and --status may be called, beside IP addresses, localhost, the host's own
    /// name and names without a dot
    #[arg(long, value_name = "NAME", num_args = 1..)]
    allow_host: Vec<HostName>,
    /// Number of threads that relay connections; by default one per processor
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Format of the log
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
    /// Time for which the program serves on, when the sidecar stops, after its instances are withdrawn from the mesh and
    /// before it gets the signal, in seconds; none without instances. 0 leaves the withdrawal to the program
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    withdraw: Duration,
    /// Time from the signal to the program until it is killed, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    program_grace: Duration,
    /// Time until open connections are aborted when the sidecar stops, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    drain: Duration,
    /// Stop as on SIGTERM when standard input ends; its content is discarded, and the program's own is empty
    #[arg(long)]
    end_with_stdin: bool,
    /// What the kernel does to the program when the sidecar itself is killed. Not for the program's own children, nor
    /// for a program that changes its user
    #[arg(long, value_name = "SIGNAL", value_enum, default_value_t)]
    death_signal: DeathSignal,
    /// Program to run beside the sidecar
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

/// The task that the command line selects.
#[derive(Debug)]
pub enum Task {
    /// Request a URL once.
    Probe {
        /// The URL.
        url: String,
        /// Timeout for the answer.
        timeout: Duration,
    },
    /// Print the answer to a request.
    Get {
        /// The URL.
        url: String,
        /// Timeout for the answer.
        timeout: Duration,
    },
    /// Report that this number of commands would load.
    Checked(usize),
    /// Print a new mesh key.
    Key,
    /// Print the ports that listen.
    Listening,
    /// Run a sidecar.
    Run(Box<Settings>),
}

impl Cli {
    /// The format of the log.
    #[must_use]
    pub fn log_format(&self) -> LogFormat {
        match &self.command {
            Some(Sub::Waypoint(arguments)) => arguments.log_format,
            _ => self.run.log_format,
        }
    }

    /// The arguments of a launcher, if the process is one.
    #[must_use]
    pub fn launch(&self) -> Option<&LaunchArgs> {
        match &self.command {
            Some(Sub::Launch(arguments)) => Some(arguments),
            _ => None,
        }
    }

    /// The arguments of `sidecar relaunch`, if the process runs it.
    #[must_use]
    pub fn relaunch(&self) -> Option<&RelaunchArgs> {
        match &self.command {
            Some(Sub::Relaunch(arguments)) => Some(arguments),
            _ => None,
        }
    }

    /// Prepares a sidecar: starts the launcher of its program or, without one, takes the sockets that it was started
    /// with; and blocks signals until the sidecar takes them. Must be called on the main thread, before other threads
    /// start and anything inherited is changed.
    ///
    /// # Errors
    /// When the launcher cannot be started, or signals cannot be blocked.
    pub fn inherit(&mut self) -> anyhow::Result<Inherited> {
        if !matches!(self.command, None | Some(Sub::Waypoint(_))) {
            return Ok(Inherited::default());
        }
        let inherited = if self.run.program.is_empty() {
            let sockets = ActivatedSockets::from_env();
            Inherited {
                launcher: None,
                predecessor: Predecessor::of(&sockets),
                sockets,
            }
        } else {
            let run = &mut self.run;
            run.program_token = run
                .http_program_token
                .then(|| credential::for_program(HTTP_TOKEN));
            let token = run.program_token.as_deref();
            Inherited {
                launcher: Some(Launcher::start(
                    &run.program,
                    &SECRETS.map(|variable| (variable, token.filter(|_| variable == HTTP_TOKEN))),
                    run.death_signal,
                )?),
                ..Inherited::default()
            }
        };
        signals::block().context("cannot block signals")?;
        Ok(inherited)
    }

    /// Checks the arguments and the files that they name. The configuration of an `earlier` process takes the place of
    /// the files to load.
    ///
    /// # Errors
    /// A file that cannot be read; otherwise all errors of all files.
    pub fn into_task(self, earlier: Option<State>) -> anyhow::Result<Task> {
        match self.command {
            Some(Sub::Probe(ProbeArgs { url, timeout })) => Ok(Task::Probe { url, timeout }),
            Some(Sub::Get(arguments)) => Ok(Task::Get {
                url: arguments.url(),
                timeout: arguments.timeout,
            }),
            Some(Sub::Waypoint(arguments)) => Ok(Task::Run(Box::new(arguments.into_settings(earlier)?))),
            Some(Sub::Key) => Ok(Task::Key),
            Some(Sub::Check(arguments)) => arguments.check().map(Task::Checked),
            Some(Sub::Listening) => Ok(Task::Listening),
            Some(Sub::Launch(_) | Sub::Relaunch(_)) => bail!("this subcommand is for the sidecar itself"),
            None => Ok(Task::Run(Box::new(self.run.into_settings(earlier)?))),
        }
    }
}

impl Task {
    /// Runs the task, with what the process was started with.
    ///
    /// # Errors
    /// When the probe fails, or the sidecar cannot start.
    pub async fn run(self, inherited: Inherited) -> anyhow::Result<ExitCode> {
        match self {
            Self::Probe { url, timeout } => http_probe::get(&url, timeout).await.map(|()| ExitCode::SUCCESS),
            Self::Get { url, timeout } => http_probe::print(&url, timeout).await.map(|()| ExitCode::SUCCESS),
            Self::Checked(commands) => {
                tracing::info!(commands, "the configuration would load");
                Ok(ExitCode::SUCCESS)
            }
            Self::Key => key::print().map(|()| ExitCode::SUCCESS),
            Self::Listening => listening::print().map(|()| ExitCode::SUCCESS),
            Self::Run(settings) => app::run(*settings, inherited).await,
        }
    }
}

impl RunArgs {
    fn into_settings(self, earlier: Option<State>) -> anyhow::Result<Settings> {
        let mut errors = Vec::new();
        let script = match &earlier {
            Some(state) => usable(state.control.script(), &mut errors),
            None => self.script(&mut errors)?,
        };
        let discovery = self.discovery.settings(&mut errors)?;
        if !errors.is_empty() {
            bail!(
                "nothing was started, because the configuration has errors:\n{}",
                Diagnostics(errors)
            );
        }
        script.log_remarks();
        let http_controller = self.http_controller.map(|address| {
            let file = ("--http-token-file", self.http_token_file.as_deref());
            let flag = ("--http-controller", address);
            let controller = match &self.program_token {
                Some(token) => controller_of_program(flag, HTTP_TOKEN, token)?,
                None => controller(flag, file, HTTP_TOKEN, self.allow_open_controllers)?,
            };
            if controller.credential.as_ref().is_some_and(|token| !token.fits_header()) {
                bail!(
                    "--http-controller has no usable credential: no header can contain this token; expected visible ASCII \
                     without leading or trailing spaces"
                );
            }
            Ok(controller)
        });
        let resp_controller = self.resp_controller.map(|address| {
            let file = ("--resp-password-file", self.resp_password_file.as_deref());
            let flag = ("--resp-controller", address);
            controller(flag, file, RESP_PASSWORD, self.allow_open_controllers)
        });
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Settings {
            script,
            earlier,
            autosave: self.autosave,
            discovery,
            http_controller: http_controller.transpose()?,
            resp_controller: resp_controller.transpose()?,
            allow_open_proxies: self.allow_open_proxies,
            waypoint: None,
            resolver: self.resolver.settings(),
            status: self.status,
            status_clients: Clients::of(self.status_clients),
            allowed_hosts: self.allow_host,
            workers: self.workers.map_or(processors, usize::from),
            withdraw: self.withdraw,
            program_grace: self.program_grace,
            drain: self.drain,
            end_with_stdin: self.end_with_stdin,
        })
    }
}

impl RunArgs {
    /// The saved configuration if there is one, otherwise that of the files to load.
    fn script(&self, errors: &mut Vec<Diagnostic>) -> anyhow::Result<Script> {
        if let Some(path) = &self.autosave
            && let Some(saved) = autosave::load(path)?
        {
            if !self.load.is_empty() {
                tracing::info!(file = %path.display(), "starting from the saved configuration instead of --load");
            }
            return Ok(saved);
        }
        load(&self.load, errors)
    }
}

fn load(files: &[PathBuf], errors: &mut Vec<Diagnostic>) -> anyhow::Result<Script> {
    let mut texts = Vec::new();
    for path in files {
        texts.push((path.display().to_string(), read(path)?));
    }
    let script = Script::parse(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    Ok(usable(script, errors))
}

fn usable(script: Result<Script, Diagnostics>, errors: &mut Vec<Diagnostic>) -> Script {
    script
        .map_err(|mut found| errors.append(&mut found.0))
        .unwrap_or_default()
}
