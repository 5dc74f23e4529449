//! A proxy that runs.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use socket2::{Domain, Socket, Type};
use tokio::process::{Child, Command};

use super::plan::NAME;
use super::{Ground, Installed, Plan};
use crate::bench::accounting::Tree;
use crate::bench::contenders::{Contender, Door};
use crate::bench::load::{Destination, Route};
use crate::error::Error;

/// Time that a proxy may take until the backend answers through it.
const READY_LIMIT: Duration = Duration::from_secs(10);
const READY_PERIOD: Duration = Duration::from_millis(20);
/// Time that it may take to end when it is told to.
const STOP_LIMIT: Duration = Duration::from_secs(3);
/// Bytes of its log that a failure shows.
const SHOWN_LOG: usize = 2000;

/// A proxy with its processes; they are killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    /// Who it is.
    pub contender: Contender,
    /// How its backend is reached through it.
    pub route: Route,
    process: Child,
    group: Option<Pid>,
    log: PathBuf,
}

impl Running {
    /// Starts it before `backend`, with its files in `directory`, and waits until it answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn start(
        contender: Contender,
        installed: &Installed,
        backend: SocketAddr,
        connections: usize,
        directory: PathBuf,
    ) -> Result<Self, Error> {
        let failed = |error: std::io::Error| {
            Error::environment(
                format!("{} cannot be started: {error}", contender.name),
                format!("look at {}, or leave it out", installed.path.display()),
            )
        };
        std::fs::create_dir_all(&directory).map_err(failed)?;
        // Kept until the proxy listens there.
        let (_reserved, listen) = reserved_address().map_err(failed)?;
        let ground = Ground {
            listen,
            backend,
            connections,
            directory,
        };
        let plan = Plan::new(contender, installed, &ground);
        if let Some((path, text)) = &plan.file {
            std::fs::write(path, text).map_err(failed)?;
        }
        let log = ground.directory.join("log");
        let output = File::create(if plan.log { &log } else { Path::new("/dev/null") }).map_err(failed)?;
        // A group of its own, so that all of it can be found and ended.
        let process = Command::new(&installed.path)
            .args(&plan.arguments)
            .current_dir(&ground.directory)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(failed)?)
            .stderr(output)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let group = process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let destination = match contender.door {
            Door::Tcp => None,
            Door::Socks5 => Some(Destination::Address(backend)),
            Door::Socks5Name => Some(Destination::Name(NAME.0.to_owned(), NAME.1)),
        };
        let mut running = Self {
            contender,
            route: Route {
                address: ground.listen,
                destination,
            },
            process,
            group,
            log,
        };
        running.ready().await?;
        Ok(running)
    }

    async fn ready(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + READY_LIMIT;
        loop {
            let route = self.route.clone();
            if tokio::task::spawn_blocking(move || route.answers())
                .await
                .unwrap_or_default()
            {
                return Ok(());
            }
            let ended = matches!(self.process.try_wait(), Ok(Some(_)));
            if ended || Instant::now() > deadline {
                return Err(self.trouble(if ended { "ended at once" } else { "does not answer" }));
            }
            tokio::time::sleep(READY_PERIOD).await;
        }
    }

    /// Its log's end, as what is in the way.
    fn trouble(&self, what: &str) -> Error {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let end = String::from_utf8_lossy(&log[log.len().saturating_sub(SHOWN_LOG)..]).into_owned();
        let name = self.contender.name;
        Error::environment(
            format!("{name} {what}; its log ends with:\n{}", end.trim_end()),
            format!("leave {name} out with --peers, or correct its installation"),
        )
    }

    /// Its processes.
    pub fn tree(&self) -> Tree {
        Tree {
            root: self.process.id().unwrap_or_default(),
        }
    }

    /// Ends it in good order, or after a while in any.
    pub async fn stop(mut self) {
        if let Some(group) = self.group {
            // It may have ended by itself.
            let _ = rustix::process::kill_process_group(group, Signal::TERM);
        }
        let _ = tokio::time::timeout(STOP_LIMIT, self.process.wait()).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // Where all of it has ended already there is nothing to kill.
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }
}

/// An address with a port that nobody gets who asks for any, while the socket is there. Who asks for this one may listen
/// at it, as servers do, because the socket does not.
fn reserved_address() -> std::io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let address = socket.local_addr()?.as_socket();
    Ok((socket, address.ok_or(std::io::ErrorKind::AddrNotAvailable)?))
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn a_server_listens_at_an_address_that_is_reserved() {
        let (_reserved, address) = reserved_address().unwrap();
        assert!(
            TcpStream::connect(address).await.is_err(),
            "nobody listens there yet"
        );
        let _server = TcpListener::bind(address).await.unwrap();
        assert!(TcpStream::connect(address).await.is_ok());
    }
}
