//! What is kept of a container, and of its present or last run.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::super::{Container, EngineError};
use super::status::{self, Condition};
use super::store::{self, entries};
use super::{Engine, failed, tree};
use crate::engine::owner::{Life, Owner};

/// The exit code of what SIGKILL ended.
pub(super) const KILLED: i64 = 137;

/// A container; written once, when it is made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) image: String,
    pub(super) image_id: String,
    pub(super) network: String,
    pub(super) address: Ipv4Addr,
    /// As the Compose file has it.
    pub(super) command: Vec<String>,
    /// What the sidecar is really given.
    pub(super) arguments: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    /// Published ports and where each is bound.
    pub(super) ports: Vec<(u16, SocketAddr)>,
    /// Those of the addresses that are not the node's own: others may hold them.
    pub(super) shared: Vec<SocketAddr>,
    /// Whether its standard input is held open by who starts it.
    pub(super) lifeline: bool,
    /// When it was made, in milliseconds since 1970.
    pub(super) made: u64,
}

/// A run of a container: written when it is started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Run {
    /// What all its processes have in their environment.
    pub(super) mark: String,
    /// Its first process, as an owner's label has it.
    first: String,
    /// When it began, in milliseconds since 1970.
    pub(super) began: u64,
}

impl Run {
    pub(super) fn new(mark: String, first: crate::engine::owner::Process) -> Self {
        Self {
            mark,
            first: Owner::Process(first).to_string(),
            began: milliseconds(SystemTime::now()),
        }
    }

    /// The id of its first process; none once that is over.
    pub(super) fn first(&self) -> Option<u32> {
        match self.first.parse() {
            Ok(Owner::Process(process)) if process.life() == Life::Running => Some(process.pid),
            _ => None,
        }
    }
}

/// Where a container's things are.
#[derive(Debug, Clone)]
pub(super) struct Home(pub(super) PathBuf);

impl Home {
    pub(super) fn configs(&self) -> PathBuf {
        self.0.join("etc")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// Where the exit code of the last run is written, as text.
    pub(super) fn exit_code(&self) -> PathBuf {
        self.0.join("exit_code")
    }

    pub(super) fn run(&self) -> io::Result<Option<Run>> {
        store::read(&self.0.join("run.json"))
    }

    pub(super) fn set_run(&self, run: &Run) -> io::Result<()> {
        store::write(&self.0.join("run.json"), run)
    }

    /// The exit code and when it was written.
    pub(super) fn ended(&self) -> Option<(i64, SystemTime)> {
        let path = self.exit_code();
        let code = fs::read_to_string(&path).ok()?.trim().parse().ok()?;
        Some((code, fs::metadata(path).ok()?.modified().ok()?))
    }

    /// The exit code of a run that has ended; where none was written, what would have written it was killed.
    pub(super) fn exit_code_or_killed(&self) -> i64 {
        self.ended().map_or(KILLED, |(code, _)| code)
    }
}

impl Engine {
    pub(super) fn home(&self, id: &str) -> Home {
        Home(self.store.containers().join(id))
    }

    /// All containers: ids and what is kept of them.
    pub(super) fn records(&self) -> io::Result<Vec<(String, Record)>> {
        let mut records = Vec::new();
        for (id, directory) in entries(&self.store.containers())? {
            if let Some(record) = store::read(&directory.join("container.json"))? {
                records.push((id, record));
            }
        }
        Ok(records)
    }

    /// What is kept of one container.
    pub(super) fn record(&self, id: &str, what: &str) -> Result<Record, EngineError> {
        let plain = id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let found = if plain && !id.is_empty() {
            store::read(&self.home(id).0.join("container.json"))
        } else {
            Ok(None)
        };
        let doing = || format!("{what} container {id}");
        found
            .map_err(failed(doing()))?
            .ok_or_else(|| EngineError::Missing {
                what: doing(),
                reason: "it is gone".to_owned(),
            })
    }

    /// A container as it is now.
    pub(super) fn describe(&self, id: String, record: Record) -> io::Result<Container> {
        let home = self.home(&id);
        let condition = match home.run()? {
            None => Condition::Created,
            Some(run) => match run.first() {
                Some(first) => Condition::Up {
                    since: run.began,
                    paused: tree::look(first).is_some_and(|process| process.stat.stopped),
                },
                None => Condition::Exited {
                    with: home.ended().map(|(code, at)| (code, milliseconds(at))),
                },
            },
        };
        let up = matches!(condition, Condition::Up { .. });
        Ok(Container {
            command: format!("/bin/sidecar {}", record.command.join(" "))
                .trim_end()
                .to_owned(),
            state: condition.state().to_owned(),
            status: status::phrase(&condition, milliseconds(SystemTime::now())),
            // Nothing answers there when it does not run.
            ports: if up { record.ports } else { Vec::new() },
            id,
            name: record.name,
            image: record.image,
            image_id: record.image_id,
            labels: record.labels,
            address: up.then_some(record.address.into()),
        })
    }
}

/// Since 1970.
pub(super) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
