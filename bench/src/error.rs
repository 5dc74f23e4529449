//! Errors that prevent a measurement. None of them is a result about the measured proxy.

use std::io;
use std::path::PathBuf;

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program cannot start itself as a worker.
    #[error("the program cannot start itself as a worker of the bench: {0}")]
    WorkerStart(io::Error),
    /// A worker's report is missing or malformed.
    #[error("a worker of the bench reported: {0}")]
    WorkerReport(String),
    /// The load ran out of ports, descriptors or socket memory; the text is the failed connection's error.
    #[error("this machine ran out of ports or descriptors: {0}")]
    Exhausted(String),
    /// A proxy cannot be started.
    #[error("{name} cannot be started: {source}")]
    ProxyStart {
        /// The proxy's name in reports.
        name: String,
        /// Its program file.
        program: PathBuf,
        /// The failure.
        source: io::Error,
    },
    /// A proxy was started but never carried a connection.
    #[error("{name} {state}; its log ends with:\n{log}")]
    ProxyNotReady {
        /// The proxy's name in reports.
        name: String,
        /// Its state, such as having exited.
        state: &'static str,
        /// The end of its log.
        log: String,
    },
}

impl Error {
    /// Advice for the user.
    pub fn advice(&self) -> String {
        match self {
            Self::WorkerStart(_) => "check that the program's file still exists".to_owned(),
            Self::WorkerReport(_) => {
                "look at the worker's messages above; if the machine is very busy, try again".to_owned()
            }
            Self::Exhausted(_) => {
                "wait a minute until the kernel has dropped closed connections, use a shorter \
                 --duration, or raise the limit of open files (ulimit -Hn)"
                    .to_owned()
            }
            Self::ProxyStart { program, .. } => {
                format!("check {}, or leave it out", program.display())
            }
            Self::ProxyNotReady { name, .. } => {
                format!("leave {name} out with --peers, or correct its installation")
            }
        }
    }
}
