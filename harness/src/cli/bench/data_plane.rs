//! `bench data-plane`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bench::peer::PeerProxy;
use bench::program::InstalledProgram;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use harness::bench::data_plane::{self, Options, Part};
use harness::cluster::checkout::Checkout;
use harness::cluster::image::{self, Kind};
use harness::console::Progress;
use harness::error::Error;
use harness::interrupt::Interrupts;

use super::output::Output;

/// Arguments of `bench data-plane`.
#[derive(Debug, Args)]
pub(super) struct DataPlaneArgs {
    /// Number of measurements of each proxy
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Concurrent connections
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,
    /// Duration of each measurement of requests, such as 2s or 500ms
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = super::duration)]
    duration: Duration,
    /// Amount of data in each bulk transfer, such as 2GB or 500MB
    #[arg(long, value_name = "SIZE", default_value = "2GB", value_parser = size)]
    bulk: u64,
    /// Number of idle connections to hold while memory is measured, limited by the open-file limit
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    idle: u16,
    /// Measure only these parts, separated by commas
    #[arg(long, value_name = "PART", value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Measure only the parts with HTTP
    #[arg(long, conflicts_with = "only")]
    http: bool,
    /// Compare only with these programs, separated by commas [default: all that are installed]
    #[arg(long, value_name = "PROGRAM", value_parser = peer(), value_delimiter = ',')]
    peers: Vec<PeerProxy>,
    /// Measure only the sidecar
    #[arg(long, conflicts_with = "peers")]
    alone: bool,
    /// The sidecar program to measure [default: compiled in the release profile]
    #[arg(long, value_name = "FILE")]
    sidecar: Option<PathBuf>,
    /// The program of HTTP loads [default: compiled in the release profile]
    #[arg(long, value_name = "FILE", hide = true)]
    http_worker: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(args: DataPlaneArgs, interrupts: &Interrupts) -> Result<ExitCode, Error> {
    args.output.check_writable()?;
    let progress = Progress::new();
    let mut parts = if args.only.is_empty() {
        Part::ALL.to_vec()
    } else {
        args.only
    };
    if args.http {
        parts.retain(|part| part.is_http());
    }
    let http_worker_needed = parts.iter().any(|part| part.is_http());
    let options = Options {
        rounds: usize::from(args.rounds),
        concurrency: usize::from(args.concurrency),
        duration: args.duration,
        bulk: args.bulk,
        idle: u64::from(args.idle),
        parts,
        peers: match (args.alone, args.peers.is_empty()) {
            (true, _) => Vec::new(),
            (false, true) => PeerProxy::ALL.to_vec(),
            (false, false) => args.peers,
        },
    };
    let work = async {
        let sidecar = match args.sidecar {
            Some(path) => existing(&path)?,
            None => {
                build(&progress, "sidecar", async |checkout, progress| {
                    image::sidecar(checkout, Kind::Release, progress).await
                })
                .await?
            }
        };
        let http_worker = match args.http_worker {
            Some(path) => Some(existing(&path)?),
            None if http_worker_needed => Some(build(&progress, "http load", image::http_worker).await?),
            None => None,
        };
        let sidecar = InstalledProgram::new(sidecar, "--version").await;
        data_plane::run(&options, sidecar, http_worker, &progress).await
    };
    // Dropping the work kills all processes that it has started.
    let results = interrupts.stop.run_until_cancelled(Box::pin(work)).await;
    let results = results.ok_or(Error::Interrupted).flatten();
    if matches!(results, Err(Error::Environment { .. })) {
        progress.failed();
    }
    args.output.write(results?.into(), interrupts).await?;
    Ok(ExitCode::SUCCESS)
}

/// Builds a program in the release profile.
async fn build(
    progress: &Progress,
    name: &str,
    compile: impl AsyncFnOnce(&Checkout, &Progress) -> Result<PathBuf, Error>,
) -> Result<PathBuf, Error> {
    let checkout = Checkout::find()?;
    progress.stage(&format!("build {name}"));
    let path = compile(&checkout, progress).await?;
    progress.done(&path.display().to_string());
    Ok(path)
}

fn existing(path: &Path) -> Result<PathBuf, Error> {
    let unusable = |error: &std::io::Error| {
        Error::environment(
            format!("{} cannot be used: {error}", path.display()),
            "name the file of a program",
        )
    };
    let path = std::path::absolute(path).map_err(|error| unusable(&error))?;
    if path.is_file() {
        Ok(path)
    } else {
        Err(unusable(&std::io::ErrorKind::NotFound.into()))
    }
}

fn peer() -> impl TypedValueParser<Value = PeerProxy> {
    let value = |peer: PeerProxy| PossibleValue::new(peer.name()).help(peer.description());
    PossibleValuesParser::new(PeerProxy::ALL.map(value)).try_map(|name| {
        let found = PeerProxy::ALL.into_iter().find(|peer| peer.name() == name);
        found.ok_or("unknown program")
    })
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
        .ok_or_else(|| "expected a size from 1MB to 1000GB, such as 2GB or 500MB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_and_bounds() {
        assert_eq!(size("2GB"), Ok(2_000_000_000));
        assert_eq!(size("1MB"), Ok(1_000_000));
        for text in ["", "2", "0MB", "1001GB", "1.5GB", "18446744073709551615GB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
