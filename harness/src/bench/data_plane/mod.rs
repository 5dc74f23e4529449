//! The sidecar beside other proxies of its kind: all are started, take turns in every round, and the medians over the
//! rounds are told. What the machine does meanwhile happens to each of them alike.

mod bulk;
mod connections;
mod memory;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use super::contenders::{BULK, Contender, IDLE_SOCKS5, SOCKS5, TCP};
use super::helpers::Helpers;
use super::peer::{Installed, Program, Rival};
use super::results::{Metric, Results, Section};
use super::stand::Stand;
use crate::console::Progress;
use crate::error::Error;
use crate::verify::conntrack;

/// Threads of the backend beyond one for each connection that the load has at a time: connections that a proxy is still
/// closing, and health checks, occupy some.
const SPARE_THREADS: usize = 64;

/// A part of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// TCP load balancing, one connection per request.
    TcpLb,
    /// SOCKS5, one connection per request.
    Socks5,
    /// Bulk transfer on one connection and on eight.
    Bulk,
    /// Memory, idle and with many idle connections.
    Memory,
}

impl Part {
    const ALL: [Self; 4] = [Self::TcpLb, Self::Socks5, Self::Bulk, Self::Memory];

    fn needs(self, rival: Rival) -> bool {
        let lists: &[&[Contender]] = match self {
            Self::TcpLb => &[TCP],
            Self::Socks5 => &[SOCKS5],
            Self::Bulk => &[BULK],
            Self::Memory => &[TCP, IDLE_SOCKS5],
        };
        let mut all = lists.iter().copied().flatten();
        all.any(|contender| contender.program == Program::Rival(rival))
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Setting {
    /// How often each contender has its turn.
    pub rounds: usize,
    /// Connections at a time.
    pub concurrency: usize,
    /// How long a turn of requests is.
    pub duration: Duration,
    /// Bytes of a turn of much data.
    pub bulk: u64,
    /// Idle connections to hold, at most; fewer where the limit of open files says so.
    pub idle: u64,
    /// The parts; all where none is named.
    pub parts: Vec<Part>,
    /// Programs to measure beside the sidecar.
    pub rivals: Vec<Rival>,
}

/// Measures what was asked for. Dropping it kills all that it has started.
///
/// # Errors
/// Something cannot be started, or the machine has run out of something.
pub async fn run(setting: &Setting, sidecar: Installed, progress: &Progress) -> Result<Results, Error> {
    let began = SystemTime::now();
    conntrack::check()?;
    raise_descriptors();
    let directory = TempDir::with_prefix("mesh-bench-").map_err(|error| {
        Error::environment(
            format!("a temporary directory cannot be made: {error}"),
            "set TMPDIR to a writable directory",
        )
    })?;
    let asked = if setting.parts.is_empty() {
        Part::ALL.to_vec()
    } else {
        setting.parts.clone()
    };
    let mut installed = vec![sidecar];
    let mut missing = Vec::new();
    let needed = |rival: &&Rival| asked.iter().any(|part| part.needs(**rival));
    for rival in setting.rivals.iter().filter(needed) {
        match rival.find().await {
            Some(found) => installed.push(found),
            None => {
                progress.say(&format!(
                    "{} is not installed and is left out; on Debian: apt-get install {}",
                    rival.name(),
                    rival.packages()
                ));
                missing.push(rival.name().to_owned());
            }
        }
    }
    let bench = Bench {
        setting,
        installed: &installed,
        helpers: Helpers::new()?,
        directory: directory.path(),
        progress,
    };
    let mut sections = Vec::new();
    for part in asked {
        sections.extend(bench.part(part).await?);
    }
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    Ok(Results {
        began,
        setting: format!(
            "Medians of {} rounds, in which all take turns; {} processors, Linux {}.",
            setting.rounds,
            cores,
            kernel()
        ),
        programs: installed
            .iter()
            .map(|one| (one.program.name().to_owned(), one.version.clone()))
            .collect(),
        missing,
        sections,
    })
}

struct Bench<'a> {
    setting: &'a Setting,
    installed: &'a [Installed],
    helpers: Helpers,
    directory: &'a Path,
    progress: &'a Progress,
}

impl Bench<'_> {
    async fn part(&self, part: Part) -> Result<Vec<Section>, Error> {
        let contenders = match part {
            Part::TcpLb => TCP,
            Part::Socks5 => SOCKS5,
            Part::Bulk => BULK,
            Part::Memory => {
                return Ok(vec![
                    self.memory("memory-tcp-lb", TCP).await?,
                    self.memory("memory-socks5", IDLE_SOCKS5).await?,
                ]);
            }
        };
        let concurrency = self.setting.concurrency.max(bulk::MOST);
        let (_backend, address) = self.helpers.backend(concurrency + SPARE_THREADS).await?;
        let stands = self.stands(contenders, address).await?;
        let sections = match part {
            Part::Bulk => self.bulk(&stands).await?,
            Part::TcpLb => vec![self.connections("tcp-lb", &stands).await?],
            Part::Socks5 | Part::Memory => vec![self.connections("socks5", &stands).await?],
        };
        for stand in stands {
            stand.stop().await;
        }
        Ok(sections)
    }

    /// All that take turns, started and waiting.
    async fn stands(&self, contenders: &[Contender], backend: SocketAddr) -> Result<Vec<Stand>, Error> {
        let connections = self.setting.concurrency.max(bulk::MOST);
        let mut stands = vec![Stand::direct(backend)];
        for contender in contenders {
            stands.extend(self.stand(*contender, backend, connections).await?);
        }
        Ok(stands)
    }

    /// One that is started. Another's program that cannot be is told and left out, as one that is not installed.
    async fn stand(
        &self,
        contender: Contender,
        backend: SocketAddr,
        connections: usize,
    ) -> Result<Option<Stand>, Error> {
        let started = Stand::start(contender, self.installed, backend, connections, self.directory);
        match started.await {
            Err(error @ Error::Environment { .. }) if contender.program != Program::Sidecar => {
                self.progress
                    .say(&format!("{} is left out: {error}", contender.name));
                Ok(None)
            }
            other => other,
        }
    }

    /// Lets each have its turn in every round, each round begun by another.
    async fn rounds(
        &self,
        key: &str,
        title: String,
        metrics: &'static [Metric],
        stands: &[Stand],
        mut turn: impl AsyncFnMut(usize, &Stand) -> Result<Turn, Error>,
    ) -> Result<Section, Error> {
        let mut rows: Vec<_> = stands.iter().map(Stand::row).collect();
        self.progress.stage(key);
        for round in 0..self.setting.rounds {
            for place in 0..stands.len() {
                let at = (place + round) % stands.len();
                self.progress.note(&format!(
                    "round {} of {}: {}",
                    round + 1,
                    self.setting.rounds,
                    stands[at].name
                ));
                let turn = turn(at, &stands[at]).await?;
                rows[at].rounds.push(turn.figures);
                rows[at].failure = rows[at].failure.take().or(turn.failure);
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

/// What came of a turn.
struct Turn {
    /// A figure for each metric.
    figures: Vec<Option<f64>>,
    failure: Option<String>,
}

/// Lets this process and those that it starts open as many files as they may. Returns how many that is.
fn raise_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

fn kernel() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "?".to_owned(), |text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_that_take_part_are_looked_for() {
        let needed = |part: Part| {
            let rivals = Rival::ALL.into_iter().filter(|rival| part.needs(*rival));
            rivals.map(Rival::name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(needed(Part::TcpLb), "nginx haproxy");
        assert_eq!(needed(Part::Bulk), "nginx haproxy");
        assert_eq!(needed(Part::Socks5), "microsocks dante");
        assert_eq!(needed(Part::Memory), "nginx haproxy microsocks dante");
    }
}
