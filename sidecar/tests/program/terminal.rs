//! The sidecar and its program on a terminal.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::Pid;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcgetpgrp, tcsetattr};

use crate::{eventually, kill};

const SIDECAR: &str = env!("CARGO_BIN_EXE_sidecar");

/// A terminal with a process that leads its session; killed when dropped.
struct Terminal {
    keys: File,
    output: Receiver<Vec<u8>>,
    seen: String,
    /// What follows in `seen` has not been waited for.
    read: usize,
    leader: Child,
}

impl Terminal {
    fn start(words: &[&str]) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&controller).expect("its other end");
        unlockpt(&controller).expect("its other end");
        let name = ptsname(&controller, Vec::new()).expect("a name");
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let device = options
            .open(name.to_str().expect("a path"))
            .expect("its other end");
        // Else a key that sends a signal discards what is on its way: a second Ctrl-Z the shell's answer to the first one.
        let mut modes = tcgetattr(&device).expect("its modes");
        modes.local_modes |= LocalModes::NOFLSH;
        tcsetattr(&device, OptionalActions::Now, &modes).expect("its modes");
        let end = || device.try_clone().expect("a descriptor");
        // A shell ignores some signals for commands in the background.
        let leader = Command::new("env")
            .args(["--default-signal", "setsid", "--ctty"])
            .args(words)
            .env_remove("RUST_LOG")
            .envs([("PS1", "$ "), ("NO_COLOR", "1"), ("ENV", "")])
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("setsid runs");
        let keys = File::from(controller);
        let mut screen = keys.try_clone().expect("a descriptor");
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count) = screen.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            keys,
            output,
            seen: String::new(),
            read: 0,
            leader,
        }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("typed");
    }

    /// Waits until the terminal shows a text after those waited for before.
    fn shows(&mut self, text: &str) {
        eventually(&format!("{text:?} in the terminal"), || self.showed(text));
    }

    /// Presses Ctrl-Z until the shell reports it: a job that is being continued discards the signal.
    fn suspends(&mut self) {
        eventually("\"Stopped\" after Ctrl-Z", || {
            self.types("\x1a");
            self.showed("Stopped")
        });
        self.shows("$ ");
    }

    /// Lets the shell, which is the leader, put its job in the foreground.
    fn continues(&mut self) {
        self.types("fg\n");
        let shell = Pid::from_child(&self.leader);
        eventually("the job in the foreground", || tcgetpgrp(&self.keys) != Ok(shell));
    }

    fn showed(&mut self, text: &str) -> bool {
        if let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(50)) {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        let found = self.seen[self.read..].find(text);
        self.read += found.map_or(0, |start| start + text.len());
        found.is_some()
    }

    fn code(&mut self) -> Option<i32> {
        let mut status = None;
        eventually("the end", || {
            status = self.leader.try_wait().expect("a child of ours");
            status.is_some()
        });
        status.and_then(|status| status.code())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.leader.kill();
        let _ = self.leader.wait();
    }
}

/// A shell with job control, and the sidecar and its program as a job.
fn shell(job: &str) -> Terminal {
    let mut terminal = Terminal::start(&["sh", "-i"]);
    terminal.shows("$ ");
    terminal.types(&format!("{job}\n"));
    terminal
}

#[test]
fn the_program_reads_from_the_terminal() {
    let mut terminal = Terminal::start(&[
        SIDECAR,
        "--",
        "sh",
        "-c",
        "echo set; read x; echo \"<$x>\"; exit 3",
    ]);
    terminal.shows("set");
    terminal.types("hello\n");
    terminal.shows("<hello>");
    assert_eq!(terminal.code(), Some(3));
}

#[test]
fn a_program_that_reads_from_the_terminal_can_be_stopped() {
    let program = "echo set; read x; echo no line";
    let mut terminal = Terminal::start(&[SIDECAR, "--program-grace", "3600", "--", "sh", "-c", program]);
    terminal.shows("set");
    kill("-TERM", &terminal.leader.id().to_string());
    assert_eq!(terminal.code(), Some(128 + 15), "{}", terminal.seen);
}

#[test]
fn an_interrupt_from_the_terminal_is_the_programs_alone() {
    let program = "trap 'echo interrupted' INT; echo set; while :; do read x && break; done; exit 3";
    let mut terminal = Terminal::start(&[SIDECAR, "--program-grace", "0", "--", "sh", "-c", program]);
    terminal.shows("set");
    for _ in 0..2 {
        terminal.types("\x03");
        terminal.shows("interrupted");
    }
    terminal.types("end\n");
    assert_eq!(terminal.code(), Some(3));
    assert!(!terminal.seen.contains("stopping"), "{}", terminal.seen);
}

#[test]
fn the_whole_job_is_suspended_and_continued() {
    let mut terminal = shell(&format!("{SIDECAR} -- sh -c 'echo set; read x; echo \"<$x>\"'"));
    terminal.shows("set\r");
    for _ in 0..2 {
        terminal.suspends();
        terminal.continues();
    }
    terminal.types("hello\n");
    terminal.shows("<hello>");
    terminal.shows("stopped");
    terminal.types("echo code $?\n");
    terminal.shows("code 0");
}

#[test]
fn a_sidecar_without_a_program_is_suspended_and_continued() {
    let mut terminal = shell(SIDECAR);
    terminal.shows("ready");
    terminal.suspends();
    terminal.continues();
    terminal.types("\x03");
    terminal.shows("stopping by=SIGINT");
    terminal.types("echo code $?\n");
    terminal.shows("code 0");
}

#[test]
fn a_job_that_reads_in_the_background_stops_and_can_be_put_in_the_foreground() {
    let mut terminal = shell(&format!("{SIDECAR} -- sh -c 'echo set; read x; echo \"<$x>\"' &"));
    terminal.shows("set\r");
    eventually("the job is stopped", || {
        // The first match is the echo of the keys.
        terminal.types("jobs; echo listed\n");
        terminal.shows("listed\r\n");
        let start = terminal.read;
        terminal.shows("listed\r\n");
        terminal.seen[start..terminal.read].contains("Stopped")
    });
    terminal.continues();
    terminal.types("hello\n");
    terminal.shows("<hello>");
}

#[test]
fn a_key_reaches_the_program_of_a_job_from_the_background() {
    let program = "trap 'echo interrupted; exit 3' INT; echo set; while :; do sleep 0.02; done";
    let mut terminal = shell(&format!("{SIDECAR} --program-grace 0 -- sh -c \"{program}\" &"));
    terminal.shows("set\r");
    terminal.continues();
    terminal.types("\x03");
    terminal.shows("interrupted\r");
    terminal.shows("stopped");
    terminal.types("echo code $?\n");
    terminal.shows("code 3");
    assert!(!terminal.seen.contains("stopping"), "{}", terminal.seen);
}

#[test]
fn a_program_gets_the_terminal_when_it_asks_for_it() {
    // Neither end of a conversation is the terminal.
    let mut terminal = shell(&format!(
        "{SIDECAR} -- sh -c 'echo set >&2; read x </dev/tty; echo \"<$x>\"' </dev/null | cat"
    ));
    terminal.shows("set\r");
    terminal.types("hello\n");
    terminal.shows("<hello>");
}

#[test]
fn a_hang_up_stops_a_sidecar_only_if_its_terminal_is_gone() {
    let log = tempfile::NamedTempFile::new().expect("a file");
    let logs = |text: &str| {
        let seen = std::fs::read_to_string(log.path()).expect("UTF-8");
        seen.contains(text)
    };
    let script = "\"$0\" 2>\"$1\" & echo process $!; wait; read x";
    let path = log.path().to_str().expect("UTF-8");
    let mut terminal = Terminal::start(&["sh", "-c", script, SIDECAR, path]);
    terminal.shows("process ");
    eventually("the sidecar is ready", || logs("ready"));
    terminal.shows("\n");
    let line = terminal.seen.rsplit("process ").next().expect("its process id");
    let sidecar = line.trim().to_owned();
    kill("-HUP", &sidecar);
    eventually("the signal is ignored", || logs("ignored a signal"));
    assert!(!logs("stopping"), "stopped although the terminal is there");
    terminal.leader.kill().expect("the session ends");
    eventually("the sidecar stops", || {
        logs("stopping by=SIGHUP") && logs("stopped")
    });
}
