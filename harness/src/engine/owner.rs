//! The owner of a mesh, in its containers' labels: it distinguishes the leftovers of a crashed run from a mesh in use.

use std::fmt;
use std::str::FromStr;

use crate::engine::proc_stat::Stat;

/// The owner of a mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A harness process: the mesh ends with it.
    Process(Process),
    /// No process: the mesh runs until it is taken down. Fixed at the start, because labels cannot be changed.
    Detached,
}

/// A process, identified so that a later process with the same id is not taken for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The machine's boot id and the PID namespace, without spaces.
    pub system: String,
    /// The process id.
    pub pid: u32,
    /// Its start time, in the format of the system.
    pub started: String,
}

/// Whether a process is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessState {
    /// It runs.
    Running,
    /// It has ended.
    Ended,
    /// It belongs to another machine or PID namespace: its state is unknown.
    Elsewhere,
}

impl Process {
    /// This process.
    pub fn this() -> Self {
        Self::of(std::process::id())
    }

    /// The process that currently has this id.
    pub fn of(pid: u32) -> Self {
        Self {
            system: system(),
            pid,
            started: started(pid).unwrap_or_else(|| "0".to_owned()),
        }
    }

    /// Whether it is still running.
    pub fn state(&self) -> ProcessState {
        if self.system != system() {
            return ProcessState::Elsewhere;
        }
        if started(self.pid).is_some_and(|started| started == self.started) {
            ProcessState::Running
        } else {
            ProcessState::Ended
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(process) => write!(f, "{} {} {}", process.pid, process.started, process.system),
            Self::Detached => f.write_str("detached"),
        }
    }
}

impl FromStr for Owner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "detached" {
            return Ok(Self::Detached);
        }
        let words: Vec<&str> = text.split(' ').collect();
        let expected = || format!("`{text}`: expected `detached` or `PID START SYSTEM`");
        let [pid, started, system] = words[..] else {
            return Err(expected());
        };
        let pid = pid.parse().map_err(|_| expected())?;
        Ok(Self::Process(Process {
            system: system.to_owned(),
            pid,
            started: started.to_owned(),
        }))
    }
}

/// Identifies this process's boot and PID namespace. Processes with the same identifier share process ids.
fn system() -> String {
    let read = |path: &str| std::fs::read_to_string(path).map(|text| text.trim().to_owned());
    let boot = read("/proc/sys/kernel/random/boot_id")
        .or_else(|_| std::env::var("HOSTNAME"))
        .unwrap_or_else(|_| std::env::consts::OS.to_owned());
    let namespace = std::fs::read_link("/proc/self/ns/pid")
        .map(|link| link.to_string_lossy().into_owned())
        .unwrap_or_else(|_| "pid".to_owned());
    format!("{boot}/{namespace}").replace(' ', "_")
}

/// The start time of a process; `None` if it has ended, even if it is a zombie.
fn started(pid: u32) -> Option<String> {
    if let Some(stat) = Stat::of(pid) {
        return (!stat.ended).then(|| stat.started.to_string());
    }
    if Stat::available() {
        return None;
    }
    // On other Unixes, `ps` prints the start time.
    let output = std::process::Command::new("ps")
        .args(["-o", "lstart=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().replace(' ', "_");
    (output.status.success() && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_and_an_earlier_one_with_its_id_has_ended() {
        let this = Process::this();
        assert_eq!(this.state(), ProcessState::Running);
        assert_eq!(
            Process {
                started: "1".to_owned(),
                ..this.clone()
            }
            .state(),
            ProcessState::Ended
        );
        assert_eq!(
            Process {
                system: "elsewhere".to_owned(),
                ..this
            }
            .state(),
            ProcessState::Elsewhere
        );
    }

    #[test]
    fn an_owner_is_parsed_from_its_label() {
        for owner in [Owner::Detached, Owner::Process(Process::this())] {
            assert_eq!(owner.to_string().parse(), Ok(owner));
        }
        for text in ["", "somebody", "x 1 here", "1 2", "1 2 3 4"] {
            assert!(text.parse::<Owner>().is_err(), "{text:?}");
        }
    }
}
