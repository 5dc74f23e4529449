//! The controlling terminal. A shell puts the sidecar's process group in the foreground; the program has a group of its
//! own, which gets the terminal instead, so that it can read and gets the signals of the keyboard.

use std::fs::{File, OpenOptions};
use std::io::IsTerminal;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, getpgrp, kill_process_group};
use rustix::termios::{tcgetpgrp, tcsetpgrp};

use super::signals::act_by_default;

/// The controlling terminal of this process.
#[derive(Debug)]
pub(super) struct Terminal(File);

impl Terminal {
    /// The terminal, if there is one and it is not gone.
    pub(super) fn of_process() -> Option<Self> {
        let mut options = OpenOptions::new();
        let flags = i32::try_from(OFlags::NOCTTY.bits()).ok()?;
        options.read(true).write(true).custom_flags(flags);
        options.open("/dev/tty").ok().map(Self)
    }

    /// Whether the sidecar's group is in the foreground.
    pub(super) fn is_ours(&self) -> bool {
        tcgetpgrp(&self.0).is_ok_and(|group| group == getpgrp())
    }

    /// Whether a program that starts should get the terminal at once: both ends of its conversation are a terminal.
    /// With another command on a pipe, that command may need it; the program still gets it when it asks.
    pub(super) fn is_for_program() -> bool {
        std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
    }

    /// Gives the terminal to a group, if the sidecar's has it.
    pub(super) fn give_to(&self, group: Pid) {
        if self.is_ours() {
            let _ = tcsetpgrp(&self.0, group);
        }
    }

    /// Takes the terminal back from a group, if that has it. SIGTTOU is blocked.
    pub(super) fn take_from(&self, group: Pid) {
        if tcgetpgrp(&self.0) == Ok(group) {
            let _ = tcsetpgrp(&self.0, getpgrp());
        }
    }
}

/// Suspends the sidecar's process group, as the terminal does with SIGTSTP, until it is continued. Returns at once if
/// there is no shell that could continue it.
pub(super) fn suspend_group(signal: Signal) {
    let _ = kill_process_group(getpgrp(), signal);
    act_by_default(signal);
}
