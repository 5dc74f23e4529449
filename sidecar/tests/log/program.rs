//! A sidecar whose standard error is a pipe that the test reads, or not.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, PipeReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::kill::kill;

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A running sidecar; killed when dropped.
pub(crate) struct Sidecar {
    process: Child,
    log: Option<BufReader<PipeReader>>,
}

impl Sidecar {
    /// Starts `command`, which becomes a sidecar.
    pub(crate) fn start(mut command: Command) -> Self {
        let (reader, writer) = io::pipe().expect("a pipe");
        let process = command.stderr(writer).spawn().expect("the sidecar starts");
        Self {
            process,
            log: Some(BufReader::new(reader)),
        }
    }

    /// Reads the log up to a line that contains `text`; returns the address in that line, if it has one.
    pub(crate) fn logged(&mut self, text: &str) -> Option<SocketAddr> {
        let log = self.log.as_mut().expect("not yet read to its end");
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            let count = log.read_line(&mut line).expect("a log in UTF-8");
            assert!(count > 0, "the log ended without {text:?}:\n{seen}");
            seen.push_str(&line);
            if line.contains(text) {
                return line
                    .split("address=")
                    .nth(1)?
                    .split_whitespace()
                    .next()?
                    .parse()
                    .ok();
            }
        }
    }

    /// Fills the pipe, so that the write of the next line blocks until the test reads.
    pub(crate) fn stall(&self) {
        let log = self.log.as_ref().expect("not yet read to its end").get_ref();
        // Opened again, because what the sidecar has open must wait.
        let path = format!("/proc/self/fd/{}", log.as_raw_fd());
        let mut filling = OpenOptions::new().write(true).open(path).expect("the pipe");
        rustix::io::ioctl_fionbio(&filling, true).expect("does not wait");
        for size in [4096, 1] {
            while filling.write(&vec![b'\n'; size]).is_ok() {}
        }
    }

    /// Reads the log from now on.
    pub(crate) fn lines(&mut self) -> Receiver<String> {
        let log = self.log.take().expect("not yet read to its end");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok).filter(|line| !line.is_empty()) {
                // Fails when the test has ended.
                let _ = sender.send(line);
            }
        });
        lines
    }

    pub(crate) fn terminate(&self) {
        kill("-TERM", &self.process.id().to_string());
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        eventually("the sidecar's end", || {
            self.process.try_wait().expect("a child").ok_or("it runs")
        })
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn sidecar(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidecar"));
    command.args(arguments).env_remove("RUST_LOG");
    command
}

/// Polls until there is a value.
pub(crate) fn eventually<T, E: std::fmt::Debug>(what: &str, mut poll: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match poll() {
            Ok(value) => return value,
            Err(last) if Instant::now() >= deadline => {
                panic!("not within {DEADLINE:?}: {what}; last: {last:?}")
            }
            Err(_) => std::thread::park_timeout(Duration::from_millis(5)),
        }
    }
}

pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    Ok(stream)
}

/// Requests a page; returns the whole answer.
pub(crate) fn request(address: SocketAddr, method: &str, path: &str, body: &str) -> io::Result<String> {
    let mut stream = connect(address)?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: sidecar\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Requests a page whose status is 200.
pub(crate) fn page(address: SocketAddr, path: &str) -> Result<String, String> {
    match request(address, "GET", path, "") {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => Ok(answer),
        answer => Err(format!("{path}: {answer:?}")),
    }
}

/// The value of a metric without labels, or with exactly these.
pub(crate) fn metric(status: SocketAddr, name: &str) -> Result<u64, String> {
    let page = page(status, "/metrics")?;
    let value = page
        .lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.ok_or_else(|| format!("no {name} in {page}"))
}
