//! The predecessor's side: starts the successor, hands over to it, and ends it if it fails.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::launch::SUBCOMMAND;
use super::state::StateError;
use super::{CHANNEL, PARENT, READY, STARTED, TAKE_OVER};
use crate::activation::{FIRST, LISTEN_FDNAMES, LISTEN_FDS, LISTEN_PID};
use crate::supervise::Program;
use crate::supervise::launcher::THIS_PROGRAM;

/// Time from its start until a successor must be ready.
pub const READY_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout for a process to end that has closed its channel or was killed.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a successor does not take over.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It could not be started.
    #[error("it cannot be started")]
    Start(#[source] io::Error),
    /// It has ended.
    #[error("it ended: {0}")]
    Ended(ExitStatus),
    /// It is not ready in time.
    #[error("it was not ready within {} s", READY_TIMEOUT.as_secs())]
    Late,
    /// It says something else than was expected.
    #[error("it closed or misused its channel")]
    Channel,
    /// There is no state to hand over.
    #[error("the state cannot be handed over")]
    State(#[from] StateError),
    /// Discovery has ended.
    #[error("discovery has ended")]
    Mesh,
}

/// A socket to hand over, with its name for LISTEN_FDNAMES.
#[derive(Debug)]
pub struct Socket {
    /// A word without colons.
    pub name: &'static str,
    /// A duplicate of the socket.
    pub descriptor: OwnedFd,
}

/// A started successor.
#[derive(Debug)]
pub struct Successor {
    /// Its process.
    pub process: Program,
    channel: tokio::net::UnixStream,
}

impl Successor {
    /// Starts the program that this process was started as, with the same arguments, and these sockets. `watch` is called
    /// at once with its process.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        mut sockets: Vec<Socket>,
        parent: OwnedFd,
        watch: impl FnOnce(Pid) -> Program,
    ) -> Result<Self, Failure> {
        let (ours, theirs) = UnixStream::pair().map_err(Failure::Start)?;
        let socket = |name, descriptor| Socket { name, descriptor };
        sockets.push(socket(CHANNEL, theirs.into()));
        sockets.push(socket(PARENT, parent));
        ours.set_nonblocking(true).map_err(Failure::Start)?;
        let channel = tokio::net::UnixStream::from_std(ours).map_err(Failure::Start)?;
        let pid = spawn(sockets).map_err(Failure::Start)?;
        Ok(Self {
            process: watch(pid),
            channel,
        })
    }

    /// Waits until it runs.
    ///
    /// # Errors
    /// When it ends instead.
    pub async fn started(&mut self) -> Result<(), Failure> {
        self.expect(STARTED).await
    }

    /// Hands it the encoded state, and waits until it can take over.
    ///
    /// # Errors
    /// When it ends instead.
    pub async fn apply(&mut self, state: &[u8]) -> Result<(), Failure> {
        let sent = async {
            self.channel.write_u64_le(state.len() as u64).await?;
            self.channel.write_all(state).await
        };
        if sent.await.is_err() {
            return Err(self.gone().await);
        }
        self.expect(READY).await
    }

    /// Tells it that this process reads no socket any more.
    pub async fn take_over(&mut self) {
        if let Err(error) = self.channel.write_u8(TAKE_OVER).await {
            tracing::error!(%error, "the successor has ended");
        }
    }

    /// Ends it, and waits for its end.
    pub async fn kill(mut self) {
        self.process.signal(Signal::KILL);
        // Otherwise it is reaped later.
        let _ = timeout(END_TIMEOUT, self.process.ended()).await;
    }

    async fn expect(&mut self, message: u8) -> Result<(), Failure> {
        match self.channel.read_u8().await {
            Ok(found) if found == message => Ok(()),
            Ok(_) => Err(Failure::Channel),
            Err(_) => Err(self.gone().await),
        }
    }

    /// Why its channel is closed.
    async fn gone(&mut self) -> Failure {
        match timeout(END_TIMEOUT, self.process.ended()).await {
            Ok(status) => Failure::Ended(status),
            Err(_) => Failure::Channel,
        }
    }
}

/// Starts `sidecar relaunch` with the sockets as the protocol numbers them. It stays in this process group: keys of a
/// terminal reach it as well.
fn spawn(sockets: Vec<Socket>) -> io::Result<Pid> {
    let names: Vec<&str> = sockets.iter().map(|socket| socket.name).collect();
    let mut command = Command::new(THIS_PROGRAM);
    command
        .arg0(env!("CARGO_PKG_NAME"))
        .args([SUBCOMMAND, "--"])
        .args(std::env::args_os())
        .env(LISTEN_FDS, names.len().to_string())
        .env(LISTEN_FDNAMES, names.join(":"))
        .env_remove(LISTEN_PID);
    let mappings = sockets.into_iter().zip(FIRST..);
    let mappings = mappings.map(|(socket, child_fd)| FdMapping {
        parent_fd: socket.descriptor,
        child_fd,
    });
    command
        .fd_mappings(mappings.collect())
        .map_err(io::Error::other)?;
    Ok(Pid::from_child(&command.spawn()?))
}
