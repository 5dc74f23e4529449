//! The proxies that are measured, as programs of this machine.

mod plan;
mod running;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use tokio::process::Command;

pub use plan::{Ground, Plan};
pub use running::Running;

/// Where programs are besides PATH: many of these are servers, and PATH is a user's.
const MORE_PLACES: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];
/// Where Debian has nginx's module for TCP.
const STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";
/// Time that a program may take to tell its version.
const VERSION_LIMIT: Duration = Duration::from_secs(5);

/// A program of others that does what the sidecar does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub enum Rival {
    /// nginx with its stream module.
    Nginx,
    /// HAProxy in tcp mode.
    Haproxy,
    /// microsocks.
    Microsocks,
    /// Dante's server.
    Dante,
}

/// A program that can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Program {
    /// Ours.
    Sidecar,
    /// Another.
    Rival(Rival),
}

/// A program that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// What it is.
    pub program: Program,
    /// Its file.
    pub path: PathBuf,
    /// What it says of its version.
    pub version: String,
    /// A module that has to be loaded for TCP.
    pub module: Option<PathBuf>,
}

impl Rival {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Nginx, Self::Haproxy, Self::Microsocks, Self::Dante];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Microsocks => "microsocks",
            Self::Dante => "dante",
        }
    }

    /// Debian's packages of it.
    pub fn packages(self) -> &'static str {
        match self {
            Self::Nginx => "nginx libnginx-mod-stream",
            Self::Haproxy => "haproxy",
            Self::Microsocks => "microsocks",
            Self::Dante => "dante-server",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::Dante => "danted",
            other => other.name(),
        }
    }

    /// Looks for it on this machine. None where it, or the part of it that is needed, is not there.
    pub async fn find(self) -> Option<Installed> {
        let path = find(self.file())?;
        let version = match self {
            Self::Microsocks => package_version("microsocks").await,
            Self::Nginx | Self::Haproxy | Self::Dante => first_line(&path, &["-v"]).await,
        };
        let module = match self {
            Self::Nginx => stream_module(&path).await?,
            _ => None,
        };
        Some(Installed {
            program: Program::Rival(self),
            path,
            version,
            module,
        })
    }
}

impl Program {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sidecar => "sidecar",
            Self::Rival(rival) => rival.name(),
        }
    }
}

impl Installed {
    /// The sidecar in this file.
    pub async fn sidecar(path: PathBuf) -> Self {
        Self {
            version: first_line(&path, &["--version"]).await,
            program: Program::Sidecar,
            path,
            module: None,
        }
    }
}

fn find(file: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(MORE_PLACES.map(PathBuf::from))
        .map(|directory| directory.join(file))
        .find(|file| file.is_file())
}

/// The stream module to load, or that none is needed; none at all where this nginx cannot carry TCP.
async fn stream_module(nginx: &Path) -> Option<Option<PathBuf>> {
    let module = PathBuf::from(STREAM_MODULE);
    if module.is_file() {
        return Some(Some(module));
    }
    let built = output(nginx, &["-V"]).await;
    built
        .split_whitespace()
        .any(|word| word == "--with-stream")
        .then_some(None)
}

async fn first_line(program: &Path, arguments: &[&str]) -> String {
    let text = output(program, arguments).await;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        "unknown version".to_owned()
    } else {
        line.to_owned()
    }
}

/// For a program that does not tell it itself.
async fn package_version(package: &str) -> String {
    match find("dpkg-query") {
        Some(query) => {
            let text = output(&query, &["-W", "-f", "${Package} ${Version}", package]).await;
            text.trim().to_owned()
        }
        None => format!("{package}, unknown version"),
    }
}

/// What a program writes to either of its outputs.
async fn output(program: &Path, arguments: &[&str]) -> String {
    let running = Command::new(program).args(arguments).kill_on_drop(true).output();
    match tokio::time::timeout(VERSION_LIMIT, running).await {
        Ok(Ok(output)) => {
            let both = [output.stdout, output.stderr].concat();
            String::from_utf8_lossy(&both).into_owned()
        }
        _ => String::new(),
    }
}
