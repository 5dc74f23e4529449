//! A sidecar process and clients of its RESP controller.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use redis::{ConnectionAddr, FromRedisValue, IntoConnectionInfo, RedisConnectionInfo, RedisResult};

use crate::kill::kill;

const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

/// A running sidecar; killed when dropped.
pub(crate) struct Sidecar {
    process: Child,
    log: BufReader<ChildStderr>,
    /// The address of its RESP controller.
    pub(crate) server: SocketAddr,
}

impl Sidecar {
    /// Starts a sidecar and waits until its RESP controller listens.
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut process = sidecar(arguments, variables)
            .args(["--resp-controller", "127.0.0.1:0"])
            .spawn()
            .expect("the sidecar starts");
        let mut log = BufReader::new(process.stderr.take().expect("its log"));
        let server = server(&mut log);
        Self { process, log, server }
    }

    /// Stops it with SIGTERM; returns the rest of its log.
    pub(crate) fn stop(mut self) -> String {
        kill("-TERM", &self.process.id().to_string());
        let mut log = String::new();
        std::io::Read::read_to_string(&mut self.log, &mut log).expect("a log in UTF-8");
        let status = self.process.wait().expect("a child of ours");
        assert!(status.success(), "{status}:\n{log}");
        log
    }

    /// Connects a client, which says hello and authenticates as configured.
    pub(crate) fn connect(&self, settings: RedisConnectionInfo) -> RedisResult<Client> {
        let address = ConnectionAddr::Tcp(self.server.ip().to_string(), self.server.port());
        let info = address.into_connection_info()?.set_redis_settings(settings);
        let connection = redis::Client::open(info)?.get_connection_with_timeout(WAIT_TIMEOUT)?;
        connection.set_read_timeout(Some(WAIT_TIMEOUT))?;
        Ok(Client(connection))
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client library's connection.
pub(crate) struct Client(redis::Connection);

impl Client {
    /// Executes a command, written as one line.
    pub(crate) fn run<T: FromRedisValue>(&mut self, line: &str) -> RedisResult<T> {
        let mut words = line.split(' ');
        let mut command = redis::cmd(words.next().expect("the first word"));
        for word in words {
            command.arg(word);
        }
        command.query(&mut self.0)
    }
}

/// Reads a log up to the address of the RESP controller.
fn server(log: &mut impl BufRead) -> SocketAddr {
    let mut seen = String::new();
    loop {
        let start = seen.len();
        let count = log.read_line(&mut seen).expect("a log in UTF-8");
        assert!(count > 0, "the log ended without the server's address:\n{seen}");
        if let Some((_, address)) = seen[start..].split_once("--resp-controller address=") {
            return address.trim().parse().expect("an address");
        }
    }
}

/// A sidecar with only these of the environment variables that it reads.
pub(crate) fn sidecar(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidecar"));
    command
        .args(arguments)
        .env_remove("RUST_LOG")
        .env_remove("SIDECAR_RESP_PASSWORD")
        .env_remove("SIDECAR_HTTP_TOKEN")
        .envs(variables.iter().copied())
        .stderr(Stdio::piped());
    command
}
