//! Connections to an engine through a program's standard input and output: `ssh`, or the docker program for TLS.

use std::future::{Ready, ready};
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bollard::{BollardRequest, ClientVersion};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio_util::task::TaskTracker;
use tower_service::Service;

use super::address::Dial;

/// Limit of what is read of a program's standard error, in bytes.
const SAID_LIMIT: u64 = 65_536;
/// Time for a program to end whose connection has failed.
const END_LIMIT: Duration = Duration::from_secs(2);

/// Starts the program, once for each connection.
#[derive(Debug, Clone)]
pub(super) struct Dialer {
    dial: Dial,
    /// The last line that a program wrote to standard error.
    said: Arc<Mutex<Option<String>>>,
    /// A task for each program, which ends with it. A program ends when its connection is dropped.
    programs: TaskTracker,
}

impl Dialer {
    pub(super) fn new(dial: Dial) -> Self {
        Self {
            dial,
            said: Arc::default(),
            programs: TaskTracker::new(),
        }
    }

    /// A client whose connections this makes.
    pub(super) fn client(
        &self,
        timeout: u64,
        version: &ClientVersion,
    ) -> Result<bollard::Docker, bollard::errors::Error> {
        let client = Client::builder(TokioExecutor::new()).build(self.clone());
        let transport = move |request: BollardRequest| {
            let response = client.request(request);
            Box::pin(async move { response.await.map_err(bollard::errors::Error::from) })
        };
        // The address is the Host header's alone.
        bollard::Docker::connect_with_custom_transport(transport, Some("http://docker"), timeout, version)
    }

    /// Why the connection failed in the program's own words, if it has ended with any.
    pub(super) async fn said(&self) -> Option<String> {
        self.programs.close();
        let _ = tokio::time::timeout(END_LIMIT, self.programs.wait()).await;
        self.programs.reopen();
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn connect(&self) -> io::Result<TokioIo<UnixStream>> {
        let (own, other) = std::os::unix::net::UnixStream::pair()?;
        own.set_nonblocking(true)?;
        let mut command = Command::new(self.dial.program);
        command
            .args(&self.dial.arguments)
            .stdin(Stdio::from(OwnedFd::from(other.try_clone()?)))
            .stdout(Stdio::from(OwnedFd::from(other)))
            .stderr(Stdio::piped())
            // Ctrl-C is this process's, which still needs the engine to clean up.
            .process_group(0)
            .kill_on_drop(true);
        super::set(&mut command, &self.dial.variables);
        let child = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("cannot run {}: {error}", self.dial.program))
        })?;
        // The command holds the child's end open.
        drop(command);
        self.programs.spawn(listen(child, Arc::clone(&self.said)));
        Ok(TokioIo::new(UnixStream::from_std(own)?))
    }
}

/// Keeps the last line of the program's standard error, and waits for its end.
async fn listen(mut child: Child, said: Arc<Mutex<Option<String>>>) {
    if let Some(stderr) = child.stderr.take() {
        let mut lines = BufReader::new(stderr.take(SAID_LIMIT)).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if !line.trim().is_empty() {
                *said.lock().unwrap_or_else(PoisonError::into_inner) = Some(line.trim().to_owned());
            }
        }
    }
    // Its exit code says less than the connection's error.
    let _ = child.wait().await;
}

impl Service<hyper::Uri> for Dialer {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: hyper::Uri) -> Self::Future {
        ready(self.connect())
    }
}
