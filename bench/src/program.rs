//! Programs of this machine, with their versions.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

/// Directories to search after PATH: many proxies are installed as servers, in directories that a user's PATH lacks.
const SERVER_DIRECTORIES: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];
/// Timeout for a program to print its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(5);

/// A program file and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledProgram {
    /// Its file.
    pub path: PathBuf,
    /// The first line of its version output, or `unknown version`.
    pub version: String,
}

impl InstalledProgram {
    /// The program at `path`, run once with `flag` to print its version.
    pub async fn new(path: PathBuf, flag: &str) -> Self {
        let text = output(&path, &[flag]).await;
        let version = match text.lines().next().unwrap_or_default().trim() {
            "" => "unknown version",
            line => line,
        };
        Self {
            version: version.to_owned(),
            path,
        }
    }
}

/// The file of the program `name`.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SERVER_DIRECTORIES.map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

/// The version of a Debian package, for programs that do not print their version.
pub(crate) async fn package_version(package: &str) -> String {
    match find("dpkg-query") {
        Some(query) => {
            let text = output(&query, &["-W", "-f", "${Package} ${Version}", package]).await;
            text.trim().to_owned()
        }
        None => format!("{package}, unknown version"),
    }
}

/// Standard output and standard error of a program; empty if it does not exit in time.
pub(crate) async fn output(program: &Path, arguments: &[&str]) -> String {
    let running = Command::new(program).args(arguments).kill_on_drop(true).output();
    match tokio::time::timeout(VERSION_TIMEOUT, running).await {
        Ok(Ok(output)) => {
            let both = [output.stdout, output.stderr].concat();
            String::from_utf8_lossy(&both).into_owned()
        }
        _ => String::new(),
    }
}
