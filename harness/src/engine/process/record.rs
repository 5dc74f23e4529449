//! The stored records of a container and of its current or last run. Names on disk stay as they are: harnesses of
//! several versions share the directory.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::super::owner::{Owner, Process, ProcessState};
use super::super::{Container, EngineError};
use super::status::Status;
use super::store::{self, entries};
use super::{Core, failed, tree};

/// The exit code after SIGKILL.
pub(super) const KILLED: i64 = 137;

/// The record of a container, written when it is created.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) image: String,
    pub(super) image_id: String,
    /// The network's id.
    pub(super) network: String,
    pub(super) address: Ipv4Addr,
    /// The command in the Compose file.
    pub(super) command: Vec<String>,
    /// The sidecar's arguments, rewritten for its loopback address.
    pub(super) arguments: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    /// The published ports and the address that each is bound to.
    pub(super) ports: Vec<(u16, SocketAddr)>,
    /// Whether the harness process that starts it holds its standard input open.
    pub(super) lifeline: bool,
    /// Creation time in milliseconds since 1970.
    #[serde(rename = "made")]
    pub(super) created_at: u64,
}

/// The record of one run of a container, written when it is started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Run {
    /// The value of [`MARK`](super::tree::MARK) in the environment of all its processes.
    pub(super) mark: String,
    /// The shell, in the form of an owner's label.
    #[serde(rename = "first")]
    shell: String,
    /// Start time in milliseconds since 1970.
    #[serde(rename = "began")]
    started_at: u64,
}

impl Run {
    pub(super) fn new(mark: String, shell: Process) -> Self {
        Self {
            mark,
            shell: Owner::Process(shell).to_string(),
            started_at: milliseconds(SystemTime::now()),
        }
    }

    /// The process id of the shell; `None` if the run has ended.
    pub(super) fn shell(&self) -> Option<u32> {
        match self.shell.parse() {
            Ok(Owner::Process(process)) if process.state() == ProcessState::Running => Some(process.pid),
            _ => None,
        }
    }
}

/// A container's directory.
#[derive(Debug, Clone)]
pub(super) struct Home(pub(super) PathBuf);

impl Home {
    pub(super) fn configs(&self) -> PathBuf {
        self.0.join("etc")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// The file with the exit code of the last run, as text.
    pub(super) fn exit_code(&self) -> PathBuf {
        self.0.join("exit_code")
    }

    pub(super) fn run(&self) -> io::Result<Option<Run>> {
        store::read(&self.run_file())
    }

    pub(super) fn run_file(&self) -> PathBuf {
        self.0.join("run.json")
    }

    /// The exit code of the last run and when it was written.
    fn ended(&self) -> Option<(i64, SystemTime)> {
        let path = self.exit_code();
        let code = fs::read_to_string(&path).ok()?.trim().parse().ok()?;
        Some((code, fs::metadata(path).ok()?.modified().ok()?))
    }

    /// The exit code of a run that has ended. If none was written, the shell was killed: [`KILLED`].
    pub(super) fn exit_code_or_killed(&self) -> i64 {
        self.ended().map_or(KILLED, |(code, _)| code)
    }
}

impl Core {
    pub(super) fn home(&self, id: &str) -> Home {
        Home(self.store.containers().join(id))
    }

    /// The records of all containers, by their ids.
    pub(super) fn records(&self) -> io::Result<Vec<(String, Record)>> {
        let mut records = Vec::new();
        for (id, directory) in entries(&self.store.containers())? {
            if let Some(record) = store::read(&directory.join("container.json"))? {
                records.push((id, record));
            }
        }
        Ok(records)
    }

    /// The record of one container. `doing` starts the description of a failed operation, such as `stopping`.
    pub(super) fn record(&self, id: &str, doing: &str) -> Result<Record, EngineError> {
        // Any other id could be a path outside the directory.
        let plain = id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let found = if plain && !id.is_empty() {
            store::read(&self.home(id).0.join("container.json"))
        } else {
            Ok(None)
        };
        let what = || format!("{doing} container {id}");
        found
            .map_err(failed(what()))?
            .ok_or_else(|| EngineError::Missing {
                what: what(),
                reason: "it is gone".to_owned(),
            })
    }

    /// The current state of a container.
    pub(super) fn describe(&self, id: String, record: Record) -> io::Result<Container> {
        let home = self.home(&id);
        let status = match home.run()? {
            None => Status::Created,
            Some(run) => match run.shell() {
                Some(shell) => Status::Up {
                    since: run.started_at,
                    paused: tree::look(shell).is_some_and(|process| process.stat.stopped),
                },
                None => Status::Exited(home.ended().map(|(code, at)| (code, milliseconds(at)))),
            },
        };
        let up = matches!(status, Status::Up { .. });
        Ok(Container {
            command: format!("/bin/sidecar {}", record.command.join(" "))
                .trim_end()
                .to_owned(),
            state: status.word().to_owned(),
            status: status.phrase(milliseconds(SystemTime::now())),
            ports: if up { record.ports } else { Vec::new() },
            id,
            name: record.name,
            image: record.image,
            image_id: record.image_id,
            labels: record.labels,
            networks: vec![record.network],
            address: up.then_some(record.address.into()),
            direct: None,
        })
    }
}

/// Milliseconds since 1970.
pub(super) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
