//! `bench`: figures of the data plane beside those of other proxies. Nothing is judged.

mod convergence;
mod mesh;
mod output;
mod own;

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use harness::bench::backend;
use harness::bench::data_plane::{self, Part, Setting};
use harness::bench::load::Task;
use harness::bench::peer::{Installed, Rival};
use harness::cluster::checkout::Checkout;
use harness::cluster::image;
use harness::console::Progress;
use harness::error::Error;
use harness::interrupt::Interrupts;

use self::output::Output;
use super::mesh_args::{Accepts, MeshArgs};

/// What is asked of `bench`.
#[derive(Debug, Args)]
pub(super) struct Wish {
    #[command(subcommand)]
    what: What,
}

impl Wish {
    /// What of a place it has a use for.
    pub(super) fn needs(&self) -> Accepts {
        match self.what {
            What::Mesh(_) => Accepts::Mesh,
            What::Convergence(_) => Accepts::Engine,
            What::DataPlane(_) | What::Backend { .. } | What::Load { .. } => Accepts::Nothing,
        }
    }
}

#[derive(Debug, Subcommand)]
enum What {
    /// Compare the sidecar with nginx, HAProxy, microsocks and Dante on loopback
    DataPlane(DataPlane),
    /// Load a whole mesh from outside, path by path: a new one, or with -p one that is running
    Mesh(mesh::Wish),
    /// Measure how fast a mesh converges: at start, and when an instance joins, is killed or freezes
    Convergence(convergence::Wish),
    /// The backend of a bench; started by the harness itself
    #[command(hide = true)]
    Backend {
        /// Its number of threads
        threads: usize,
    },
    /// The load of a bench; started by the harness itself
    #[command(hide = true)]
    Load {
        /// What to do, as JSON
        task: String,
    },
}

#[derive(Debug, Args)]
struct DataPlane {
    /// How many times to measure each proxy
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Concurrent connections
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,
    /// Length of each measurement of requests, such as 2s or 500ms
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    duration: Duration,
    /// How much data each bulk transfer moves, such as 2GB or 500MB
    #[arg(long, value_name = "SIZE", default_value = "2GB", value_parser = size)]
    bulk: u64,
    /// How many idle connections to hold while memory is measured, as far as the open-file limit allows
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    idle: u16,
    /// Measure only these parts, separated by commas
    #[arg(long, value_name = "PART", value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Compare only with these, separated by commas [default: all that are installed]
    #[arg(long, value_name = "PROGRAM", value_enum, value_delimiter = ',')]
    peers: Vec<Rival>,
    /// Measure only the sidecar
    #[arg(long, conflicts_with = "peers")]
    alone: bool,
    /// The sidecar program to measure [default: the image's, built first]
    #[arg(long, value_name = "FILE")]
    sidecar: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(wish: Wish, before: MeshArgs, interrupts: &Interrupts) -> Result<ExitCode, Error> {
    match wish.what {
        What::Convergence(wish) => convergence::run(wish, &before, interrupts).await,
        What::Mesh(wish) => mesh::run(wish, before, interrupts).await,
        What::DataPlane(wish) => data_plane(wish, interrupts).await,
        What::Backend { threads } => blocking(move || serve(threads)).await,
        What::Load { task } => blocking(move || load(&task)).await,
    }
}

async fn data_plane(wish: DataPlane, interrupts: &Interrupts) -> Result<ExitCode, Error> {
    wish.output.tried()?;
    let progress = Progress::new();
    let setting = Setting {
        rounds: usize::from(wish.rounds),
        concurrency: usize::from(wish.concurrency),
        duration: wish.duration,
        bulk: wish.bulk,
        idle: u64::from(wish.idle),
        parts: wish.only,
        rivals: match (wish.alone, wish.peers.is_empty()) {
            (true, _) => Vec::new(),
            (false, true) => Rival::ALL.to_vec(),
            (false, false) => wish.peers,
        },
    };
    let work = async {
        let sidecar = match wish.sidecar {
            Some(path) => std::path::absolute(&path).map_err(|error| unreadable(&path, &error))?,
            None => built(&progress).await?,
        };
        if !sidecar.is_file() {
            return Err(unreadable(&sidecar, &std::io::ErrorKind::NotFound.into()));
        }
        data_plane::run(&setting, Installed::sidecar(sidecar).await, &progress).await
    };
    // All that it starts ends with it.
    let results = interrupts.stop.run_until_cancelled(Box::pin(work)).await;
    let results = results.ok_or(Error::Interrupted).flatten();
    if matches!(results, Err(Error::Environment { .. })) {
        progress.failed();
    }
    wish.output.tell(results?.into()).await?;
    Ok(ExitCode::SUCCESS)
}

/// The image's sidecar.
async fn built(progress: &Progress) -> Result<PathBuf, Error> {
    let checkout = Checkout::find()?;
    progress.stage("build");
    let path = image::sidecar(&checkout, progress).await?;
    progress.done(&path.display().to_string());
    Ok(path)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::environment(
        format!("{} cannot be used: {error}", path.display()),
        "name the file of the sidecar program",
    )
}

/// Runs a helper, which blocks, until it is done; nothing that is asked of the bench is for it.
async fn blocking(work: impl FnOnce() -> std::io::Result<()> + Send + 'static) -> Result<ExitCode, Error> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(|error| Error::environment(format!("a helper of the bench failed: {error}"), "try again"))?;
    Ok(ExitCode::SUCCESS)
}

/// The backend, until standard input ends.
fn serve(threads: usize) -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    say(&listener.local_addr()?.to_string())?;
    // Detached: its threads end with the process.
    std::thread::Builder::new().spawn(move || backend::serve(&listener, threads))?;
    input_end();
    Ok(())
}

fn load(task: &str) -> std::io::Result<()> {
    let task: Task = serde_json::from_str(task)?;
    task.run(|outcome| say(&serde_json::to_string(&outcome)?), input_end)?
}

fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    out.flush()
}

fn input_end() {
    // An input that cannot be read any more has ended too.
    let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 1),
        (None, Some(number)) => (number, 1000),
        (None, None) => ("", 1),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .filter(|millis| (100..=60_000).contains(millis))
        .map(Duration::from_millis)
        .ok_or_else(|| "expected a time such as 2s or 500ms, at least 100ms and at most 60s".to_owned())
}

fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = match (text.strip_suffix("GB"), text.strip_suffix("MB")) {
        (Some(number), _) => (number, 1_000_000_000),
        (None, Some(number)) => (number, 1_000_000),
        (None, None) => ("", 1),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .filter(|bytes| (1_000_000..=1_000_000_000_000).contains(bytes))
        .ok_or_else(|| "expected a size such as 2GB or 500MB, at least 1MB and at most 1000GB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_can_be_chosen() {
        use clap::Parser;
        let parse = |words: &[&str]| {
            let line = ["harness", "bench"].iter().chain(words);
            super::super::Arguments::try_parse_from(line).is_ok()
        };
        assert!(parse(&[
            "data-plane",
            "--only",
            "tcp-lb,bulk",
            "--peers",
            "nginx,dante"
        ]));
        assert!(parse(&[
            "data-plane",
            "--alone",
            "--bulk",
            "500MB",
            "--duration",
            "300ms"
        ]));
        assert!(!parse(&["data-plane", "--alone", "--peers", "nginx"]));
        assert!(!parse(&["data-plane", "--peers", "apache"]));
        assert!(!parse(&["data-plane", "--rounds", "0"]));
        assert!(parse(&["mesh", "--via", "socks5,lb", "-p", "example"]));
        assert!(!parse(&["mesh", "--via", "pigeon"]));
        assert!(parse(&[
            "convergence",
            "--rounds",
            "100",
            "--only",
            "kill,freeze"
        ]));
        assert!(!parse(&["convergence", "--only", "mend"]));
        assert!(!parse(&[]));
    }

    #[test]
    fn times_and_sizes_have_a_unit_and_bounds() {
        assert_eq!(duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("100ms"), Ok(Duration::from_millis(100)));
        for text in ["", "2", "99ms", "61s", "1.5s", "-1s", "18446744073709551615s"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(size("2GB"), Ok(2_000_000_000));
        assert_eq!(size("1MB"), Ok(1_000_000));
        for text in ["", "2", "0MB", "1001GB", "1.5GB", "18446744073709551615GB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
