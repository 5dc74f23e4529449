//! Addresses of engines, as `DOCKER_HOST` and contexts have them, and how a connection to each is made.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// The socket of an engine on Linux.
pub(super) const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// The registered ports of engines, without and with TLS.
const PORTS: (u16, u16) = (2375, 2376);

/// Variables for a child process: their values, or `None` for those to remove.
pub type Variables = Vec<(&'static str, Option<String>)>;

/// An engine's address, and whether TLS is spoken there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) address: Address,
    /// Of TCP only.
    pub(super) tls: Option<Tls>,
}

/// An engine's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// The path of a unix socket.
    Unix(String),
    /// A host and, if it is not the registered one, its port.
    Tcp { host: String, port: Option<u16> },
    /// A machine on which the docker program connects to its engine.
    Ssh(Ssh),
}

/// `ssh://[USER@]HOST[:PORT][/SOCKET]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ssh {
    user: Option<String>,
    host: String,
    port: Option<u16>,
    socket: Option<String>,
}

/// How the engine's certificate is verified, and with which files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) verify: bool,
    /// The directory of `ca.pem`, `cert.pem` and `key.pem`; `None` for the docker program's own.
    pub(super) certificates: Option<PathBuf>,
}

/// A program whose standard input and output are a connection to the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dial {
    pub(super) program: &'static str,
    pub(super) arguments: Vec<String>,
    pub(super) variables: Variables,
    /// What the user can try when it fails.
    pub(super) advice: String,
}

impl Endpoint {
    pub(super) fn plain(address: Address) -> Self {
        Self { address, tls: None }
    }

    /// For messages: the path of a socket, other addresses as `DOCKER_HOST` has them.
    pub(super) fn shown(&self) -> String {
        match &self.address {
            Address::Unix(path) => path.clone(),
            _ => self.to_string(),
        }
    }

    /// The host of another machine on which the engine runs; `None` for this one.
    pub(super) fn remote(&self) -> Option<&str> {
        let host = match &self.address {
            Address::Unix(_) => return None,
            Address::Tcp { host, .. } => host,
            Address::Ssh(ssh) => &ssh.host,
        };
        let local = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        Some(host.as_str()).filter(|_| !local || matches!(self.address, Address::Ssh(_)))
    }

    /// The host and port of plain TCP.
    pub(super) fn tcp(&self) -> Option<String> {
        match (&self.address, &self.tls) {
            (Address::Tcp { host, port }, None) => {
                Some(format!("tcp://{}:{}", bracketed(host), port.unwrap_or(PORTS.0)))
            }
            _ => None,
        }
    }

    /// The program that connects to the engine, for addresses that this process does not connect to itself.
    pub(super) fn dial(&self) -> Option<Dial> {
        match (&self.address, &self.tls) {
            (Address::Ssh(ssh), _) => Some(ssh.dial()),
            (Address::Tcp { .. }, Some(_)) => Some(Dial {
                program: "docker",
                arguments: ["system", "dial-stdio"].map(str::to_owned).into(),
                variables: self.variables(),
                advice:
                    "the docker program must connect: see `docker version`, DOCKER_TLS_VERIFY, and ca.pem, \
                         cert.pem and key.pem in DOCKER_CERT_PATH"
                        .to_owned(),
            }),
            _ => None,
        }
    }

    /// The variables by which the docker program and Compose use this engine.
    pub(super) fn variables(&self) -> Variables {
        let tls = self.tls.as_ref();
        let set = |on: bool| on.then(|| "1".to_owned());
        let directory = tls.and_then(|tls| tls.certificates.as_ref());
        vec![
            ("DOCKER_HOST", Some(self.to_string())),
            ("DOCKER_CONTEXT", None),
            ("DOCKER_TLS", set(tls.is_some())),
            ("DOCKER_TLS_VERIFY", set(tls.is_some_and(|tls| tls.verify))),
            (
                "DOCKER_CERT_PATH",
                directory.map(|directory| directory.to_string_lossy().into_owned()),
            ),
        ]
    }
}

impl Ssh {
    /// As the docker program does it. Without questions, which the connections of one command would each ask.
    fn dial(&self) -> Dial {
        let mut arguments: Vec<String> = ["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20"]
            .map(str::to_owned)
            .into();
        let mut option = |flag: &str, value: String| arguments.extend([flag.to_owned(), value]);
        if let Some(user) = &self.user {
            option("-l", user.clone());
        }
        if let Some(port) = self.port {
            option("-p", port.to_string());
        }
        arguments.extend(["--".to_owned(), self.host.clone(), "docker".to_owned()]);
        if let Some(socket) = &self.socket {
            let host = format!("unix://{socket}");
            // The shell of the other machine reads it.
            let host = crate::invocation::quoted(&host);
            arguments.extend(["--host".to_owned(), host]);
        }
        arguments.extend(["system", "dial-stdio"].map(str::to_owned));
        Dial {
            program: "ssh",
            arguments,
            variables: Variables::new(),
            advice: format!(
                "`ssh {} docker version` must work without a question: use a key without a passphrase or with \
                 ssh-agent, a known host, and a user that may use the engine",
                self.destination()
            ),
        }
    }

    fn destination(&self) -> String {
        let user = self.user.as_ref().map(|user| format!("{user}@"));
        let port = self.port.map(|port| format!("-p {port} "));
        format!(
            "{}{}{}",
            port.unwrap_or_default(),
            user.unwrap_or_default(),
            self.host
        )
    }
}

impl FromStr for Address {
    type Err = String;

    /// The error is what is wrong, as the end of a sentence.
    fn from_str(text: &str) -> Result<Self, String> {
        // As for the docker program, an address without a scheme is TCP's.
        let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
        match scheme {
            "unix" if rest.is_empty() => Ok(Self::Unix(DEFAULT_SOCKET.to_owned())),
            "unix" => Ok(Self::Unix(rest.to_owned())),
            "tcp" => match split(rest)? {
                (None, host, port, None) => Ok(Self::Tcp { host, port }),
                _ => Err("expected tcp://HOST:PORT".to_owned()),
            },
            "ssh" => {
                let (user, host, port, socket) = split(rest)?;
                if user.as_ref().is_some_and(|user| user.contains(':')) {
                    return Err("expected ssh://USER@HOST without a password".to_owned());
                }
                Ok(Self::Ssh(Ssh {
                    user,
                    host,
                    port,
                    socket,
                }))
            }
            other => Err(format!(
                "engines are reached by unix://, tcp:// or ssh://, not by {other}://"
            )),
        }
    }
}

type Parts = (Option<String>, String, Option<u16>, Option<String>);

/// The user, host, port and path of `[USER@]HOST[:PORT][/PATH]`.
fn split(rest: &str) -> Result<Parts, String> {
    let (authority, path) = match rest.find('/') {
        Some(at) => (&rest[..at], Some(&rest[at..])),
        None => (rest, None),
    };
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let (host, port) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match host.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host, None),
        },
    };
    let number = port.map(|port| {
        port.parse()
            .map_err(|_| format!("expected a port, found `{port}`"))
    });
    let number = number.transpose()?;
    let word =
        |text: &str| !text.starts_with('-') && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if host.is_empty() || !word(host) || !user.is_none_or(|user| !user.is_empty() && word(user)) {
        return Err(format!("expected a host, found `{authority}`"));
    }
    let path = path.filter(|path| *path != "/").map(str::to_owned);
    Ok((user.map(str::to_owned), host.to_owned(), number, path))
}

/// A host as it stands before a port.
fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Unix(path) => write!(f, "unix://{path}"),
            Address::Tcp { host, port } => {
                let registered = if self.tls.is_some() { PORTS.1 } else { PORTS.0 };
                write!(f, "tcp://{}:{}", bracketed(host), port.unwrap_or(registered))
            }
            Address::Ssh(ssh) => {
                f.write_str("ssh://")?;
                if let Some(user) = &ssh.user {
                    write!(f, "{user}@")?;
                }
                f.write_str(&bracketed(&ssh.host))?;
                if let Some(port) = ssh.port {
                    write!(f, ":{port}")?;
                }
                f.write_str(ssh.socket.as_deref().unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests;
