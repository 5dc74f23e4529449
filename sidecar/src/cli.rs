//! The command line: arguments as typed, then checked once into what the program runs on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};

use crate::control::{MAX_FILE, Script, autosave};
use crate::fault::{Fault, Faults};
use crate::log::LogFormat;
use crate::{app, mesh, probe};

/// The proxy that stands beside every service of the mesh.
#[derive(Debug, Parser)]
#[command(
    name = "sidecar",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "With a PROGRAM the sidecar starts it once its own listeners are bound, forwards SIGTERM and \
                  SIGINT to it, and exits with its code.\n\nThe log goes to standard error; RUST_LOG sets how much \
                  of it, for instance RUST_LOG=debug or RUST_LOG=sidecar::mesh=debug."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Ask a URL and exit 0 if the answer is 2xx, else 1: a health check for images without a shell
    Probe(ProbeArgs),
}

#[derive(Debug, Args)]
struct ProbeArgs {
    /// What to ask, for instance http://127.0.0.1:9090/readyz
    url: String,
    /// How long the answer may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    timeout: Duration,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Config files, one command a line, run in order
    #[arg(long, value_name = "FILE", num_args = 1..)]
    load: Vec<PathBuf>,
    /// Where the configuration is saved after every change; if the file is there, the sidecar starts from it
    /// and not from --load
    #[arg(long, value_name = "FILE")]
    autosave: Option<PathBuf>,
    /// Discovery settings; without them the sidecar joins no mesh
    #[arg(long, value_name = "FILE")]
    discovery_config: Option<PathBuf>,
    /// Where services register themselves over HTTP, for instance 127.0.0.1:18080
    #[arg(long, value_name = "ADDRESS")]
    http_controller: Option<SocketAddr>,
    /// Where /healthz, /readyz, /mesh and /metrics are served (read-only), for instance 0.0.0.0:9090
    #[arg(long, value_name = "ADDRESS")]
    status: Option<SocketAddr>,
    /// Worker threads; by default as many as there are processors
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// What a line of the log is
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
    /// How long the program may take to finish after a signal before it is killed, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "6", value_parser = seconds)]
    program_grace: Duration,
    /// How long connections may take to finish when the sidecar stops, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    drain: Duration,
    /// The program to run beside the sidecar
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<String>,
}

/// What the command line asks for, checked.
#[derive(Debug)]
pub enum Task {
    /// Ask a URL once.
    Probe {
        /// What to ask.
        url: String,
        /// How long the answer may take.
        timeout: Duration,
    },
    /// Be a sidecar.
    Run(Box<Settings>),
}

impl Cli {
    /// What a line of the log is.
    #[must_use]
    pub fn log_format(&self) -> LogFormat {
        self.run.log_format
    }

    /// Checks the arguments and the files that they name.
    ///
    /// # Errors
    /// A file that cannot be read; else all the faults of all the files.
    pub fn into_task(self) -> anyhow::Result<Task> {
        match self.command {
            Some(Sub::Probe(ProbeArgs { url, timeout })) => Ok(Task::Probe { url, timeout }),
            None => Ok(Task::Run(Box::new(self.run.into_settings()?))),
        }
    }
}

impl Task {
    /// How many threads it is to run on.
    #[must_use]
    pub fn workers(&self) -> usize {
        match self {
            Self::Probe { .. } => 1,
            Self::Run(settings) => settings.workers,
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// When the probe is not answered well, or the sidecar cannot start.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Probe { url, timeout } => probe::probe(&url, timeout).await.map(|()| ExitCode::SUCCESS),
            Self::Run(settings) => app::run(*settings).await,
        }
    }
}

/// What the sidecar runs on.
#[derive(Debug)]
pub struct Settings {
    pub(crate) script: Script,
    pub(crate) autosave: Option<PathBuf>,
    pub(crate) discovery: Option<mesh::Config>,
    pub(crate) http_controller: Option<SocketAddr>,
    pub(crate) status: Option<SocketAddr>,
    pub(crate) workers: usize,
    pub(crate) program_grace: Duration,
    pub(crate) drain: Duration,
    pub(crate) program: Vec<String>,
}

impl RunArgs {
    fn into_settings(self) -> anyhow::Result<Settings> {
        let mut faults = Vec::new();
        let script = self.script(&mut faults)?;
        let discovery = match &self.discovery_config {
            None => None,
            Some(path) => mesh::Config::parse(&path.display().to_string(), &read(path)?)
                .map_err(|mut found| faults.append(&mut found.0))
                .ok(),
        };
        if !faults.is_empty() {
            bail!(
                "nothing was started, for the configuration has faults:\n{}",
                Faults(faults)
            );
        }
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Settings {
            script,
            autosave: self.autosave,
            discovery,
            http_controller: self.http_controller,
            status: self.status,
            workers: self.workers.map_or(processors, usize::from),
            program_grace: self.program_grace,
            drain: self.drain,
            program: self.program,
        })
    }
}

impl RunArgs {
    /// What was saved, or else what the files to load say.
    fn script(&self, faults: &mut Vec<Fault>) -> anyhow::Result<Script> {
        if let Some(path) = &self.autosave
            && let Some(saved) = autosave::load(path)?
        {
            if !self.load.is_empty() {
                tracing::info!(file = %path.display(), "starting from what was saved, not from --load");
            }
            return Ok(saved);
        }
        let mut texts = Vec::new();
        for path in &self.load {
            texts.push((path.display().to_string(), read(path)?));
        }
        let script = Script::parse(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        Ok(script.unwrap_or_else(|mut found| {
            faults.append(&mut found.0);
            Script::default()
        }))
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    let failed = || format!("cannot read {}", path.display());
    let size = std::fs::metadata(path).with_context(failed)?.len();
    if size > MAX_FILE {
        bail!(
            "{} has {size} bytes; a config file has at most {MAX_FILE}",
            path.display()
        );
    }
    std::fs::read_to_string(path).with_context(failed)
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse::<f64>()
        .ok()
        .filter(|s| (0.0..=3600.0).contains(s))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "expected a number of seconds from 0 to 3600, for instance 2.5".to_owned())
}
