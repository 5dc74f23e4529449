//! Starts the program with everything that the sidecar inherited: ignored and blocked signals, limits, umask, working
//! directory and standard streams.
//!
//! The sidecar first starts itself a second time, as `sidecar launch`, before it changes anything about itself. This
//! launcher asks for the death signal, waits until the sidecar serves, and becomes the program. Safe code suffices,
//! because nothing runs between a fork and an exec.
//!
//! Rust's own start changes two things before any of this: it opens /dev/null for closed standard streams, and it
//! ignores SIGPIPE. The program gets SIGPIPE's default action, even if the sidecar inherited it as ignored.

use std::ffi::{OsStr, OsString};
use std::io::{self, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};
use rustix::stdio::{dup2_stdin, stdin};
use tokio::io::AsyncReadExt;

use crate::activation::LISTEN_PID;

/// The executable of this process, even after its file was replaced.
pub(crate) const THIS_PROGRAM: &str = "/proc/self/exe";

/// The hidden subcommand that runs as the launcher.
pub const SUBCOMMAND: &str = "launch";

/// What the kernel does to the program when the sidecar is killed. The program's own children, and a program that
/// changes its user or runs setuid, are not covered: the kernel clears the setting for them (prctl(2),
/// PR_SET_PDEATHSIG).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum DeathSignal {
    /// Kills it.
    #[default]
    Kill,
    /// Sends it SIGTERM.
    Term,
    /// Leaves it running.
    None,
}

impl DeathSignal {
    fn signal(self) -> Option<Signal> {
        match self {
            Self::Kill => Some(Signal::KILL),
            Self::Term => Some(Signal::TERM),
            Self::None => None,
        }
    }
}

/// Why the program could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {program}")]
pub struct StartError {
    program: String,
    source: io::Error,
}

/// A started launcher, which waits. It ends if this value is dropped.
#[derive(Debug)]
pub struct Launcher {
    program: String,
    pid: Pid,
    channel: UnixStream,
}

impl Launcher {
    /// Starts a launcher in its own process group. The environment variables in `secrets` have these values, or are unset.
    ///
    /// Must be called on the main thread: the kernel sends the death signal when the thread that forked ends.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn start(
        program: &[OsString],
        secrets: &[(&str, Option<&OsStr>)],
        death: DeathSignal,
    ) -> Result<Self, StartError> {
        let name = program
            .first()
            .map(|p| p.to_string_lossy().into_owned())
            .unwrap_or_default();
        let spawn = || {
            let (ours, theirs) = UnixStream::pair()?;
            let mut command = Command::new(THIS_PROGRAM);
            command
                .arg0(env!("CARGO_PKG_NAME"))
                .args([SUBCOMMAND, "--parent", &getpid().as_raw_pid().to_string()])
                .args(["--death-signal", death.name(), "--"])
                .args(program)
                .process_group(0)
                .stdin(OwnedFd::from(theirs));
            for (variable, value) in secrets {
                match value {
                    Some(value) => command.env(variable, value),
                    None => command.env_remove(variable),
                };
            }
            Ok((Pid::from_child(&command.spawn()?), ours))
        };
        match spawn() {
            Ok((pid, channel)) => Ok(Self {
                program: name,
                pid,
                channel,
            }),
            Err(source) => Err(StartError {
                program: name,
                source,
            }),
        }
    }

    /// The process that becomes the program.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Lets the launcher become the program, with the given standard input.
    ///
    /// # Errors
    /// When the program cannot be executed.
    pub(super) async fn release(self, input: impl AsFd) -> Result<Pid, StartError> {
        let failed = |source| StartError {
            program: self.program.clone(),
            source,
        };
        send_input(&self.channel, input).map_err(failed)?;
        let mut failure = Vec::new();
        let channel = self.channel.try_clone().and_then(|channel| {
            channel.set_nonblocking(true)?;
            tokio::net::UnixStream::from_std(channel)
        });
        // The channel is closed by the execution of the program.
        channel
            .map_err(failed)?
            .read_to_end(&mut failure)
            .await
            .map_err(failed)?;
        match <[u8; 4]>::try_from(failure.as_slice()) {
            Ok(code) => Err(failed(io::Error::from_raw_os_error(i32::from_ne_bytes(code)))),
            Err(_) => Ok(self.pid),
        }
    }
}

impl DeathSignal {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Term => "term",
            Self::None => "none",
        }
    }
}

/// The command line of a launcher.
#[derive(Debug, clap::Args)]
pub struct LaunchArgs {
    #[arg(long)]
    parent: i32,
    #[arg(long, value_enum)]
    death_signal: DeathSignal,
    #[arg(last = true)]
    program: Vec<OsString>,
}

/// Waits for the sidecar and becomes the program. Returns only if that fails.
pub fn exec(args: &LaunchArgs) -> ExitCode {
    let ready = set_parent_process_death_signal(args.death_signal.signal());
    // A parent that ended before the call above sends no signal.
    if ready.is_err() || Pid::as_raw(getppid()) != args.parent {
        return ExitCode::FAILURE;
    }
    // The channel is standard input, the only place where safe code can take an inherited descriptor.
    let (Ok(channel), Ok(Some(input))) = (fcntl_dupfd_cloexec(stdin(), 3), receive_input()) else {
        return ExitCode::FAILURE;
    };
    let mut channel = UnixStream::from(channel);
    let error = match (dup2_stdin(input), args.program.split_first()) {
        (Ok(()), Some((program, arguments))) => {
            let mut command = Command::new(program);
            // Sockets that the sidecar was started with are the program's.
            if std::env::var(LISTEN_PID).is_ok_and(|pid| pid == args.parent.to_string()) {
                command.env(LISTEN_PID, std::process::id().to_string());
            }
            command.args(arguments).exec()
        }
        (Err(error), _) => error.into(),
        (_, None) => io::ErrorKind::InvalidInput.into(),
    };
    let _ = channel.write_all(&error.raw_os_error().unwrap_or_default().to_ne_bytes());
    ExitCode::FAILURE
}

fn send_input(channel: &UnixStream, input: impl AsFd) -> io::Result<()> {
    let descriptors = [input.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    let byte = [io::IoSlice::new(&[0])];
    sendmsg(channel, &byte, &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives the program's standard input; `None` if the sidecar has ended instead.
fn receive_input() -> io::Result<Option<OwnedFd>> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let data = &mut [IoSliceMut::new(&mut byte)];
    recvmsg(stdin(), data, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    Ok(ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    }))
}
