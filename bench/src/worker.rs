//! Runs backend and load as separate processes, so that their descriptors and CPU time do not count for the measured
//! proxy. A worker is the running program, started again as `PROGRAM ARGUMENTS... backend THREADS` or `PROGRAM
//! ARGUMENTS... load TASK`. It prints one line, the backend's address or the load's report, and exits at the end of its
//! standard input. `http-worker` is another program with workers of this kind.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::backend;
use crate::error::Error;
use crate::load::{LoadReport, LoadTask};

/// Timeout for a backend to listen.
const BACKEND_START_TIMEOUT: Duration = Duration::from_secs(10);

/// Starts workers.
#[derive(Debug, Clone)]
pub struct WorkerLauncher {
    program: PathBuf,
    arguments: &'static [&'static str],
}

/// A running worker. It is killed on drop. It also exits when this process ends, which holds its standard input open.
#[derive(Debug)]
pub struct Worker(#[expect(dead_code, reason = "the worker lives as long as this value")] Child);

impl WorkerLauncher {
    /// A launcher that starts this program with `arguments`, followed by the worker's own arguments. For these, the
    /// program must call [`run_backend`] or [`run_load`].
    ///
    /// # Errors
    /// The path of this program is unknown.
    pub fn new(arguments: &'static [&'static str]) -> Result<Self, Error> {
        let program = std::env::current_exe().map_err(Error::WorkerStart)?;
        Ok(Self { program, arguments })
    }

    /// A launcher of another program's workers.
    pub fn of(program: PathBuf) -> Self {
        Self {
            program,
            arguments: &[],
        }
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Starts a backend with `threads` threads. Returns its address.
    ///
    /// # Errors
    /// It cannot be started, or does not listen in time.
    pub async fn backend(&self, threads: usize) -> Result<(Worker, SocketAddr), Error> {
        let arguments = ["backend".to_owned(), threads.to_string()];
        let (worker, line) = self.start(&arguments, BACKEND_START_TIMEOUT).await?;
        let address = line.parse().map_err(|_| Error::WorkerReport(line))?;
        Ok((worker, address))
    }

    /// Runs a load, a [`LoadTask`] or for `http-worker` an [`HttpLoad`](crate::http::HttpLoad), which must report within
    /// `timeout`. Connections that it holds stay open until the worker is dropped.
    ///
    /// # Errors
    /// It cannot be started, does not report in time, or ran out of ports or descriptors.
    pub async fn load(
        &self,
        task: &impl Serialize,
        timeout: Duration,
    ) -> Result<(Worker, LoadReport), Error> {
        let task = serde_json::to_string(task).map_err(|error| Error::WorkerReport(error.to_string()))?;
        let (worker, line) = self.start(&["load".to_owned(), task], timeout).await?;
        let report: LoadReport = serde_json::from_str(&line).map_err(|_| Error::WorkerReport(line))?;
        if report.exhausted {
            return Err(Error::Exhausted(report.failure.unwrap_or_default()));
        }
        Ok((worker, report))
    }

    /// Starts a worker and reads its first line.
    async fn start(&self, arguments: &[String], timeout: Duration) -> Result<(Worker, String), Error> {
        let mut child = Command::new(&self.program)
            .args(self.arguments)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::WorkerStart)?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            let mut stdout = BufReader::new(stdout);
            tokio::time::timeout(timeout, stdout.read_line(&mut line))
                .await
                .map_err(|_| Error::WorkerReport("nothing in time".to_owned()))?
                .map_err(Error::WorkerStart)?;
        }
        Ok((Worker(child), line.trim_end().to_owned()))
    }
}

/// Runs the backend until standard input ends. Blocks.
///
/// # Errors
/// It cannot listen, start a thread, or print its address.
pub fn run_backend(threads: usize) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    print_line(&listener.local_addr()?.to_string())?;
    // The thread is not joined: it ends with the process.
    std::thread::Builder::new().spawn(move || backend::serve(&listener, threads))?;
    wait_for_input_end();
    Ok(())
}

/// Runs the load `task`, a [`LoadTask`] in JSON, and holds its connections until standard input ends. Blocks.
///
/// # Errors
/// The task is malformed, a thread cannot be started, or the report cannot be printed.
pub fn run_load(task: &str) -> io::Result<()> {
    let task: LoadTask = serde_json::from_str(task)?;
    task.run(
        |report| print_line(&serde_json::to_string(&report)?),
        wait_for_input_end,
    )?
}

fn print_line(line: &str) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{line}")?;
    out.flush()
}

fn wait_for_input_end() {
    // A read error counts as the end.
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
}
