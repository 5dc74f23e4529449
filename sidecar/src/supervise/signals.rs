//! Takes the signals that are sent to the sidecar and, if enabled, the end of standard input.
//!
//! The signals are blocked and read from a signalfd(2): a real-time signal that is sent twice arrives twice, process 1
//! gets signals that it has no handler for, and no handler replaces what was inherited.

use std::io;

use anyhow::Context;
use nix::sys::signal::{SigSet, Signal as StandardSignal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::process::{Pid, Signal, getpid, kill_process};
use rustix_libc_wrappers::process::SignalExt;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

/// Signals that stay with the sidecar: the end of its children, and faults of its own code, which must not be blocked.
/// SIGKILL and SIGSTOP can be neither blocked nor forwarded.
const KEPT: [StandardSignal; 7] = [
    StandardSignal::SIGCHLD,
    StandardSignal::SIGSEGV,
    StandardSignal::SIGBUS,
    StandardSignal::SIGILL,
    StandardSignal::SIGTRAP,
    StandardSignal::SIGFPE,
    StandardSignal::SIGSYS,
];

/// Length of a `struct signalfd_siginfo` in bytes.
const SIGINFO_LENGTH: usize = 128;

/// The code of a signal that the kernel sends on its own account, for instance for a key (SI_KERNEL, sigaction(2)).
const FROM_KERNEL: i32 = 0x80;

/// What was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// A signal that a process sent, or SIGCONT.
    Signal(Signal),
    /// SIGHUP from the kernel: the terminal is gone, or the process group was stopped and has lost its shell.
    HangUp,
    /// A signal from the terminal to its foreground group: a key was pressed, or the window has another size.
    Keyboard(Signal),
    /// The end of standard input.
    InputEnd,
}

fn taken() -> SigSet {
    let mut signals = SigSet::all();
    KEPT.into_iter().for_each(|signal| signals.remove(signal));
    signals
}

/// Blocks the signals until [`Signals`] reads them, and unblocks all others. Must be called before other threads start,
/// which inherit this.
///
/// # Errors
/// When the mask of the thread cannot be set.
pub fn block() -> io::Result<()> {
    Ok(taken().thread_set_mask()?)
}

/// Sends this process a signal and lets it have its default effect: for SIGTSTP, SIGTTIN and SIGTTOU, to stop until it is
/// continued. Returns at once if the kernel ignores the signal, for instance for lack of a shell that could continue
/// the process.
pub(super) fn act_by_default(signal: Signal) {
    let Ok(standard) = StandardSignal::try_from(signal.as_raw()) else {
        return;
    };
    let _ = kill_process(getpid(), signal);
    let set = SigSet::from(standard);
    let _ = set.thread_unblock();
    let _ = set.thread_block();
}

/// The signals of a mask in the hexadecimal form of /proc/PID/status (proc_pid_status(5)).
fn signals_of_mask(mask: &str) -> Vec<Signal> {
    let mask = u64::from_str_radix(mask.trim(), 16).unwrap_or_default();
    (1..=64)
        .filter(|number| mask & (1 << (number - 1)) != 0)
        .filter_map(Signal::from_raw)
        .collect()
}

/// The signals that this process ignores.
pub(super) fn ignored() -> Vec<Signal> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.map(signals_of_mask).unwrap_or_default()
}

/// Reads the signals that are sent to this process.
#[derive(Debug)]
pub struct Signals {
    /// Not a pipe, but read in the same way.
    signals: pipe::Receiver,
    /// Resolves at the end of standard input, if that is a reason to stop; `None` after it did.
    input: Option<oneshot::Receiver<()>>,
}

impl Signals {
    /// Starts to read the signals that [`block`] holds back. With `to_input`, also reads standard input to its end.
    ///
    /// # Errors
    /// When the signalfd or the thread that reads standard input cannot be created.
    pub fn listen(to_input: bool) -> anyhow::Result<Self> {
        let signals = SignalFd::with_flags(&taken(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .context("cannot receive signals")?;
        Ok(Self {
            input: to_input.then(input_end).transpose()?,
            signals: pipe::Receiver::from_owned_fd_unchecked(signals.into())?,
        })
    }

    /// Waits for the next signal. Cancellation-safe.
    pub async fn next(&mut self) -> Received {
        loop {
            let mut info = [0; SIGINFO_LENGTH];
            tokio::select! {
                ready = self.signals.readable() => {
                    if let (Ok(()), Ok(SIGINFO_LENGTH)) = (ready, self.signals.try_read(&mut info))
                        && let Some(received) = received(&info, getpid())
                    {
                        return received;
                    }
                }
                () = ended(&mut self.input) => return Received::InputEnd,
            }
        }
    }
}

/// What a `struct signalfd_siginfo` reports: number, errno, code and sender, each of four bytes. `None` for a signal that
/// is about the sidecar itself, such as SIGPIPE or SIGXFSZ for a write of its own.
fn received(info: &[u8; SIGINFO_LENGTH], own: Pid) -> Option<Received> {
    let word = |index: usize| info.as_chunks().0.get(index).copied().map(i32::from_ne_bytes);
    let signal = Signal::from_raw(word(0)?)?;
    let by_kernel = word(2)? == FROM_KERNEL;
    match signal {
        _ if word(3)? == own.as_raw_pid() => None,
        Signal::INT | Signal::QUIT | Signal::TSTP | Signal::WINCH if by_kernel => {
            Some(Received::Keyboard(signal))
        }
        Signal::HUP if by_kernel => Some(Received::HangUp),
        Signal::CONT => Some(Received::Signal(signal)),
        _ => (!by_kernel).then_some(Received::Signal(signal)),
    }
}

/// Reads and discards standard input in a thread; resolves at its end.
fn input_end() -> anyhow::Result<oneshot::Receiver<()>> {
    let (ended, end) = oneshot::channel();
    let read = move || {
        // A read error counts as the end.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = ended.send(());
    };
    // Detached: only the end of the input ends the read, and a blocking task of the runtime would keep the process until
    // then.
    let thread = std::thread::Builder::new().name("stdin".to_owned()).spawn(read);
    thread.context("cannot start the thread that reads standard input")?;
    Ok(end)
}

async fn ended(input: &mut Option<oneshot::Receiver<()>>) {
    match input {
        Some(end) => {
            let _ = end.await;
            *input = None;
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_names_its_signals() {
        // 1, 15 and 34, which the kernel counts from bit 0.
        let mask = format!("\t{:016x}", 1_u64 | 1 << 14 | 1 << 33);
        let numbers: Vec<i32> = signals_of_mask(&mask).into_iter().map(Signal::as_raw).collect();
        assert_eq!(numbers, [1, 15, 34]);
    }
}
