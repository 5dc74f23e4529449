//! A sidecar under test, its servers and its clients.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Deadline for anything that succeeds at once on an idle machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A running sidecar; killed when dropped.
pub(crate) struct Sidecar {
    process: Child,
    log: Arc<Mutex<Vec<String>>>,
    pub(crate) status: SocketAddr,
    _script: tempfile::NamedTempFile,
}

impl Sidecar {
    /// Starts a sidecar with these commands and arguments. `launch` is the beginning of the shell
    /// command that starts it, up to `exec`.
    pub(crate) async fn start(launch: &str, commands: &str, arguments: &str) -> Self {
        let script = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(script.path(), commands).unwrap();
        let status = free_address();
        let line = format!(
            "{launch} '{}' --status {status} --load '{}' {arguments}",
            env!("CARGO_BIN_EXE_sidecar"),
            script.path().display()
        );
        let mut process = Command::new("sh")
            .args(["-c", &line])
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, kept) = (BufReader::new(process.stderr.take().unwrap()), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        let sidecar = Self {
            process,
            log,
            status,
            _script: script,
        };
        sidecar.logged("ready").await;
        sidecar
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Waits until a line of the log contains the text.
    pub(crate) async fn logged(&self, text: &str) {
        eventually(async || {
            let log = self.log();
            (!log.contains(text)).then(|| format!("the log has no {text:?}:\n{log}"))
        })
        .await;
    }

    /// The sum of the samples of the metrics page that begin with this text.
    pub(crate) async fn metric(&self, begin: &str) -> u64 {
        let page = get(self.status, "/metrics").await;
        let samples = page.lines().filter(|line| line.starts_with(begin));
        samples
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
            .sum()
    }

    /// Sets the limit of open files of the running sidecar.
    pub(crate) fn limit_descriptors(&self, soft: u64) {
        let limit = Rlimit {
            current: Some(soft),
            ..getrlimit(Resource::Nofile)
        };
        prlimit(Some(Pid::from_child(&self.process)), Resource::Nofile, limit).unwrap();
    }

    /// Waits until a metric has grown by this much.
    pub(crate) async fn grows(&self, metric: &str, by: u64) {
        let before = self.metric(metric).await;
        eventually(async || {
            let now = self.metric(metric).await;
            (now < before + by).then(|| format!("{metric} has grown from {before} to {now}, not by {by}"))
        })
        .await;
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Polls until nothing is missing; panics with what is missing after the deadline.
pub(crate) async fn eventually(mut missing: impl AsyncFnMut() -> Option<String>) {
    let deadline = Instant::now() + DEADLINE;
    while let Some(what) = missing().await {
        assert!(Instant::now() < deadline, "after {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A free loopback address.
pub(crate) fn free_address() -> SocketAddr {
    let held = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    held.local_addr().unwrap()
}

/// A server that echoes what each client sends.
pub(crate) async fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
                let _ = writer.shutdown().await;
            });
        }
    });
    address
}

/// A client of an echo server.
pub(crate) struct Client(TcpStream);

impl Client {
    pub(crate) async fn connect(to: SocketAddr) -> std::io::Result<Self> {
        Ok(Self(TcpStream::connect(to).await?))
    }

    /// Sends a byte, which need not be echoed yet.
    pub(crate) async fn send(&mut self) {
        self.0.write_all(b"x").await.unwrap();
    }

    /// Whether a byte that was sent is echoed within this time.
    pub(crate) async fn receives(&mut self, limit: Duration) -> std::io::Result<bool> {
        match timeout(limit, self.0.read_exact(&mut [0])).await {
            Ok(read) => read.map(|_| true),
            Err(_) => Ok(false),
        }
    }

    /// Asserts that the connection works.
    pub(crate) async fn works(&mut self) {
        self.echoes().await.expect("the connection works");
    }

    pub(crate) async fn echoes(&mut self) -> std::io::Result<()> {
        self.0.write_all(b"x").await?;
        match self.receives(DEADLINE).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(std::io::ErrorKind::TimedOut.into()),
            Err(error) => Err(error),
        }
    }
}

/// The body of an answer.
pub(crate) async fn get(address: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    ask(address, &request)
        .await
        .split_once("\r\n\r\n")
        .unwrap()
        .1
        .to_owned()
}

/// The answer to a request.
pub(crate) async fn ask(address: SocketAddr, request: &str) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map(|_| answer)
    };
    let outcome = timeout(DEADLINE, exchange).await;
    outcome
        .expect("an answer within the deadline")
        .expect("an answer")
}

/// Commands for a load balancer `lb` at `listener` with one server, which is checked every `period` milliseconds and down
/// after three failures.
pub(crate) fn one_server(listener: SocketAddr, server: SocketAddr, period: u32) -> String {
    format!(
        "add server-groups x\n\
         add server-group g timeout 2000 period {period} up 1 down 3\n\
         add server-group g to server-groups x\n\
         add server s to server-group g address {server}\n\
         add tcp-lb lb address {listener} server-groups x\n"
    )
}
