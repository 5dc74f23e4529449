//! `bench`.

mod convergence;
mod data_plane;
mod mesh;
mod output;
mod own_mesh;

use std::process::ExitCode;
use std::time::Duration;

use bench::worker;
use clap::{Args, Subcommand};
use harness::error::Error;
use harness::interrupt::Interrupts;

use super::mesh_args::{Accepts, MeshArgs};

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    command: Command,
}

impl BenchArgs {
    /// The flags that may precede this command.
    pub(super) fn needs(&self) -> Accepts {
        match self.command {
            Command::Mesh(_) => Accepts::Mesh,
            Command::Convergence(_) => Accepts::Engine,
            Command::DataPlane(_) | Command::Backend { .. } | Command::Load { .. } => Accepts::Nothing,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare the sidecar with nginx, HAProxy, microsocks and Dante on loopback
    DataPlane(data_plane::DataPlaneArgs),
    /// Load a whole mesh from outside, one path after another: a new mesh, or with -p a running one
    Mesh(mesh::MeshBenchArgs),
    /// Measure a mesh's convergence time at start, and after an instance joins, is killed or freezes
    Convergence(convergence::ConvergenceArgs),
    /// The backend of a bench, started by the harness itself
    #[command(hide = true)]
    Backend {
        /// Number of threads
        threads: usize,
    },
    /// The load of a bench, started by the harness itself
    #[command(hide = true)]
    Load {
        /// The load to generate, as JSON
        task: String,
    },
}

pub(super) async fn run(
    args: BenchArgs,
    before: MeshArgs,
    interrupts: &Interrupts,
) -> Result<ExitCode, Error> {
    match args.command {
        Command::Convergence(args) => convergence::run(args, &before, interrupts).await,
        Command::Mesh(args) => mesh::run(args, before, interrupts).await,
        Command::DataPlane(args) => data_plane::run(args, interrupts).await,
        Command::Backend { threads } => run_worker(move || worker::run_backend(threads)).await,
        Command::Load { task } => run_worker(move || worker::run_load(&task)).await,
    }
}

/// Runs a worker, which blocks, to its end.
async fn run_worker(work: impl FnOnce() -> std::io::Result<()> + Send + 'static) -> Result<ExitCode, Error> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(|error| Error::environment(format!("a worker of the bench failed: {error}"), "try again"))?;
    Ok(ExitCode::SUCCESS)
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
        .ok_or_else(|| "expected a time from 100ms to 60s, such as 2s or 500ms".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn each_bench_accepts_its_own_flags() {
        let parses = |words: &[&str]| {
            let line = ["harness", "bench"].iter().chain(words);
            super::super::Arguments::try_parse_from(line).is_ok()
        };
        assert!(parses(&[
            "data-plane",
            "--only",
            "tcp-lb,bulk",
            "--peers",
            "nginx,dante"
        ]));
        assert!(parses(&[
            "data-plane",
            "--alone",
            "--bulk",
            "500MB",
            "--duration",
            "300ms"
        ]));
        assert!(!parses(&["data-plane", "--alone", "--peers", "nginx"]));
        assert!(!parses(&["data-plane", "--peers", "apache"]));
        assert!(!parses(&["data-plane", "--rounds", "0"]));
        assert!(parses(&["mesh", "--via", "socks5,lb", "-p", "example"]));
        assert!(!parses(&["mesh", "--via", "pigeon"]));
        assert!(parses(&[
            "convergence",
            "--rounds",
            "100",
            "--only",
            "kill,freeze"
        ]));
        assert!(!parses(&["convergence", "--only", "mend"]));
        assert!(!parses(&[]));
    }

    #[test]
    fn a_duration_has_a_unit_and_bounds() {
        assert_eq!(duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("100ms"), Ok(Duration::from_millis(100)));
        for text in ["", "2", "99ms", "61s", "1.5s", "-1s", "18446744073709551615s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
