//! Runs a proxy as a child process: reserves its address, starts it, waits until it forwards, and stops it.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use socket2::{Domain, Socket, Type};
use tokio::process::{Child, Command};

use crate::error::Error;
use crate::process_usage::ProcessTree;

/// Worker threads or processes of each proxy that has such a setting.
pub const WORKERS: usize = 2;

/// Timeout for the backend to answer through a started proxy.
const READY_TIMEOUT: Duration = Duration::from_secs(10);
const READY_POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Timeout for a proxy to exit after SIGTERM; it is killed afterwards.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum number of bytes of a proxy's log in an error.
const SHOWN_LOG: usize = 2000;

/// The requirements for a proxy.
#[derive(Debug)]
pub struct ProxySpec {
    /// Address to listen at.
    pub listen: SocketAddr,
    /// Address to forward to.
    pub backend: SocketAddr,
    /// Concurrent connections to support.
    pub connections: usize,
    /// The proxy's working directory.
    pub directory: PathBuf,
    /// Keeps the port of `listen` reserved until the proxy listens there.
    _reservation: Socket,
}

/// The arguments and configuration of a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchPlan {
    /// The program's arguments.
    pub arguments: Vec<String>,
    /// Path and text of its configuration file.
    pub config: Option<(PathBuf, String)>,
    /// Whether its output is kept, to be shown if it fails to start.
    pub keep_log: bool,
}

/// A proxy with its processes, which are killed on drop.
#[derive(Debug)]
pub struct RunningProxy {
    /// Its processes.
    pub processes: ProcessTree,
    name: String,
    process: Child,
    group: Option<Pid>,
    log: PathBuf,
}

impl ProxySpec {
    /// A proxy to `backend` that listens on a free loopback port.
    ///
    /// # Errors
    /// No port can be reserved.
    pub fn new(backend: SocketAddr, connections: usize, directory: PathBuf) -> io::Result<Self> {
        let (reservation, listen) = reserve_address()?;
        Ok(Self {
            listen,
            backend,
            connections,
            directory,
            _reservation: reservation,
        })
    }

    /// Path of the proxy's configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.directory.join("conf")
    }
}

impl LaunchPlan {
    /// A plan with `config` as the content of [`ProxySpec::config_file`], to which `arguments` refer.
    pub fn with_config(spec: &ProxySpec, arguments: &[&str], config: String) -> Self {
        Self {
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            config: Some((spec.config_file(), config)),
            keep_log: true,
        }
    }
}

impl RunningProxy {
    /// Starts `program` by `plan` and waits until `answers` says that the backend answers through it.
    ///
    /// # Errors
    /// It cannot be started, or the backend does not answer through it in time.
    pub async fn start(
        name: &str,
        program: &Path,
        spec: ProxySpec,
        plan: &LaunchPlan,
        answers: impl AsyncFn() -> bool,
    ) -> Result<Self, Error> {
        let failed = |source: io::Error| Error::ProxyStart {
            name: name.to_owned(),
            program: program.to_owned(),
            source,
        };
        std::fs::create_dir_all(&spec.directory).map_err(failed)?;
        if let Some((path, text)) = &plan.config {
            std::fs::write(path, text).map_err(failed)?;
        }
        let log = spec.directory.join("log");
        let output = File::create(if plan.keep_log {
            &log
        } else {
            Path::new("/dev/null")
        })
        .map_err(failed)?;
        // Its own process group, so that all its processes can be found and killed.
        let process = Command::new(program)
            .args(&plan.arguments)
            .current_dir(&spec.directory)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(failed)?)
            .stderr(output)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let root = process.id().unwrap_or_default();
        let mut running = Self {
            processes: ProcessTree { root },
            name: name.to_owned(),
            process,
            group: i32::try_from(root).ok().and_then(Pid::from_raw),
            log,
        };
        running.wait_until_ready(answers).await?;
        Ok(running)
    }

    async fn wait_until_ready(&mut self, answers: impl AsyncFn() -> bool) -> Result<(), Error> {
        let deadline = Instant::now() + READY_TIMEOUT;
        loop {
            if answers().await {
                return Ok(());
            }
            let ended = matches!(self.process.try_wait(), Ok(Some(_)));
            if ended || Instant::now() > deadline {
                return Err(self.not_ready(if ended { "ended at once" } else { "does not answer" }));
            }
            tokio::time::sleep(READY_POLL_INTERVAL).await;
        }
    }

    /// The error that the proxy is in `state`, with the end of its log.
    fn not_ready(&self, state: &'static str) -> Error {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let end = String::from_utf8_lossy(&log[log.len().saturating_sub(SHOWN_LOG)..]);
        Error::ProxyNotReady {
            name: self.name.clone(),
            state,
            log: end.trim_end().to_owned(),
        }
    }

    /// Sends SIGTERM, and kills the proxy after a timeout.
    pub async fn stop(mut self) {
        if let Some(group) = self.group {
            // An error means that it has already exited.
            let _ = rustix::process::kill_process_group(group, Signal::TERM);
        }
        let _ = tokio::time::timeout(STOP_TIMEOUT, self.process.wait()).await;
    }
}

impl Drop for RunningProxy {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // An error means that all its processes have already exited.
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }
}

/// Reserves a port: while the socket is open, the kernel does not allocate it to a process that binds to port 0. A
/// server that binds to the port itself succeeds, because the socket does not listen and both set SO_REUSEADDR.
fn reserve_address() -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let address = socket.local_addr()?.as_socket();
    Ok((socket, address.ok_or(io::ErrorKind::AddrNotAvailable)?))
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn a_server_can_listen_at_a_reserved_address() {
        let (_reservation, address) = reserve_address().unwrap();
        assert!(
            TcpStream::connect(address).await.is_err(),
            "the reservation itself does not listen"
        );
        let _server = TcpListener::bind(address).await.unwrap();
        assert!(TcpStream::connect(address).await.is_ok());
    }
}
