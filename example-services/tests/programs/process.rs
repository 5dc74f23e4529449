//! A program under test, as a process.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::http::STEP_TIMEOUT;

/// A running program and its log. Killed on drop.
pub(crate) struct Process {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    reading: JoinHandle<()>,
}

fn spawn(program: &str, args: &[&str], log: Stdio) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_example-services"));
    command
        .arg0(program)
        .args(args)
        .stdin(Stdio::null())
        .stderr(log)
        .kill_on_drop(true);
    command.spawn().expect("to start the program")
}

impl Process {
    pub(crate) fn service(args: &[&str]) -> Process {
        Process::start("service", args)
    }

    pub(crate) fn frontend(args: &[&str]) -> Process {
        Process::start("frontend", args)
    }

    fn start(program: &str, args: &[&str]) -> Process {
        let mut child = spawn(program, args, Stdio::piped());
        let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&log);
        let reading = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                kept.lock().expect("the log").push(line);
            }
        });
        Process { child, log, reading }
    }

    /// A program that logs to `log`.
    pub(crate) fn logging_to(log: impl Into<Stdio>, program: &str, args: &[&str]) -> Process {
        Process {
            child: spawn(program, args, log.into()),
            log: Arc::default(),
            reading: tokio::spawn(async {}),
        }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("the log").join("\n")
    }

    /// Waits for a line that contains `text`. Returns the rest of the line after it.
    pub(crate) async fn logged(&self, text: &str) -> String {
        let deadline = Instant::now() + STEP_TIMEOUT;
        loop {
            let log = self.log();
            if let Some((_, rest)) = log.lines().find_map(|line| line.split_once(text)) {
                return rest.to_owned();
            }
            assert!(Instant::now() < deadline, "no {text:?} in the log:\n{log}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = self
            .child
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
            .expect("a running program");
        kill_process(id, signal).expect("to send the signal");
    }

    /// Waits until it exits. Returns its exit status and log.
    pub(crate) async fn end(mut self) -> (ExitStatus, String) {
        let status = timeout(STEP_TIMEOUT, self.child.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("the program does not end; its log:\n{}", self.log()));
        (&mut self.reading).await.expect("the whole log");
        (status.expect("its exit status"), self.log())
    }
}
