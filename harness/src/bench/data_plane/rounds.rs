//! Starts the proxies of a part and measures each in every round.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bench::http::{HttpLoad, HttpVersion};
use bench::load::{LoadReport, LoadTask, Workload};
use bench::results::{Metric, Section};
use bench::worker::WorkerLauncher;
use serde::Serialize;

use super::candidate::{Candidate, Programs};
use super::proxy_setup::{BULK, IDLE_SOCKS5, ProxyKind, ProxySetup, SOCKS5, TCP};
use super::{Options, Part};
use crate::console::Progress;
use crate::error::Error;

/// Number of backend threads in addition to one per concurrent connection: health checks, and connections that a proxy
/// is still closing, occupy some.
const SPARE_THREADS: usize = 64;
/// Maximum number of concurrent connections in bulk transfers; proxies are started for at least this number.
pub(super) const MAX_BULK_CONNECTIONS: usize = 8;

/// The state that all measurements share.
pub(super) struct ProxyBench<'a> {
    pub(super) options: &'a Options,
    pub(super) programs: &'a Programs,
    pub(super) launcher: WorkerLauncher,
    /// The directory for the proxies' files.
    pub(super) directory: &'a Path,
    pub(super) progress: &'a Progress,
}

/// The result of measuring one candidate in one round.
pub(super) struct Measurement {
    /// A value per metric.
    pub(super) values: Vec<Option<f64>>,
    /// Error of a failed connection.
    pub(super) failure: Option<String>,
}

impl ProxyBench<'_> {
    pub(super) async fn measure(&self, part: Part) -> Result<Vec<Section>, Error> {
        let setups = match part {
            Part::TcpLb => TCP,
            Part::Socks5 => SOCKS5,
            Part::Bulk => BULK,
            Part::Memory => {
                return Ok(vec![
                    self.memory("memory-tcp-lb", TCP).await?,
                    self.memory("memory-socks5", IDLE_SOCKS5).await?,
                ]);
            }
            Part::Http => return self.http(HttpVersion::Http1).await,
            Part::H2 => return self.http(HttpVersion::Http2).await,
            Part::HttpMemory => return Ok(vec![self.http_memory().await?]),
        };
        let connections = self.options.concurrency.max(MAX_BULK_CONNECTIONS);
        let (_backend, address) = self.launcher.backend(connections + SPARE_THREADS).await?;
        let mut candidates = vec![Candidate::direct(address)];
        for setup in setups {
            candidates.extend(self.start(*setup, address, connections).await?);
        }
        let sections = match part {
            Part::Bulk => self.bulk(&candidates).await?,
            Part::TcpLb => vec![self.connections("tcp-lb", &candidates).await?],
            _ => vec![self.connections("socks5", &candidates).await?],
        };
        for candidate in candidates {
            candidate.stop().await;
        }
        Ok(sections)
    }

    /// Starts a proxy. `None` for a peer that is left out because it is not installed or cannot be started.
    pub(super) async fn start(
        &self,
        setup: ProxySetup,
        backend: SocketAddr,
        connections: usize,
    ) -> Result<Option<Candidate>, Error> {
        let started = Candidate::start(setup, self.programs, backend, connections, self.directory);
        match started.await {
            Err(error @ Error::Environment { .. }) if setup.kind != ProxyKind::Sidecar => {
                self.progress.say(&format!("{} is left out: {error}", setup.name));
                Ok(None)
            }
            other => other,
        }
    }

    /// Runs a load on a candidate. Also returns the CPU time that its proxy used.
    pub(super) async fn load(
        &self,
        candidate: &Candidate,
        workload: Workload,
        timeout: Duration,
    ) -> Result<(LoadReport, Option<Duration>), Error> {
        let task = LoadTask {
            target: candidate.target.clone(),
            workload,
        };
        measured_load(&self.launcher, candidate, &task, timeout).await
    }

    /// As [`Self::load`], for a load with HTTP.
    pub(super) async fn http_load(
        &self,
        candidate: &Candidate,
        load: &HttpLoad,
        timeout: Duration,
    ) -> Result<(LoadReport, Option<Duration>), Error> {
        measured_load(self.http_worker()?, candidate, load, timeout).await
    }

    /// The launcher of the load and the backend with HTTP.
    pub(super) fn http_worker(&self) -> Result<&WorkerLauncher, Error> {
        self.programs.http_worker.as_ref().ok_or_else(|| {
            Error::environment("there is no program for HTTP loads", "name it with --http-worker")
        })
    }

    /// In every round, calls `measure` with each candidate and its index. Each round starts with a different candidate.
    pub(super) async fn rounds(
        &self,
        key: &str,
        title: String,
        metrics: &'static [Metric],
        candidates: &[Candidate],
        mut measure: impl AsyncFnMut(usize, &Candidate) -> Result<Measurement, Error>,
    ) -> Result<Section, Error> {
        let mut rows: Vec<_> = candidates.iter().map(Candidate::row).collect();
        self.progress.stage(key);
        for round in 0..self.options.rounds {
            for offset in 0..candidates.len() {
                let index = (offset + round) % candidates.len();
                self.progress.note(&format!(
                    "round {} of {}: {}",
                    round + 1,
                    self.options.rounds,
                    candidates[index].name
                ));
                let measurement = measure(index, &candidates[index]).await?;
                rows[index].rounds.push(measurement.values);
                rows[index].failure = rows[index].failure.take().or(measurement.failure);
            }
        }
        self.progress.done("measured");
        Ok(Section {
            key: key.to_owned(),
            title,
            metrics,
            rows,
        })
    }
}

/// Runs a load on a candidate. Also returns the CPU time that its proxy used.
async fn measured_load(
    launcher: &WorkerLauncher,
    candidate: &Candidate,
    task: &impl Serialize,
    timeout: Duration,
) -> Result<(LoadReport, Option<Duration>), Error> {
    let cpu_time = || candidate.processes().map(|tree| tree.cpu_time());
    let before = cpu_time();
    let (_, report) = launcher.load(task, timeout).await?;
    let used = before
        .zip(cpu_time())
        .map(|(before, after)| after.saturating_sub(before));
    Ok((report, used))
}
