//! The processes of a container, found by a mark in their environment and as descendants of marked processes. A process
//! keeps its mark when its parent or its process group changes.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::engine::proc_stat::Stat;

/// The environment variable with the mark: the container's id, `/`, and a random identifier of the run.
pub(super) const MARK: &str = "SERVICE_MESH_CONTAINER";

/// A process that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) stat: Stat,
}

impl Process {
    /// Sends it a signal, unless it has ended.
    pub(super) fn signal(&self, signal: Signal) {
        let same = look(self.pid).is_some_and(|now| now.stat.started == self.stat.started);
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
            && same
        {
            let _ = kill_process(pid, signal);
        }
    }

    /// Its resident memory in KiB.
    pub(super) fn resident_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// Whether its mark begins with one of `marks`.
    fn marked(&self, marks: &[impl AsRef<str>]) -> bool {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        let own = variables.find_map(|variable| variable.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="));
        own.is_some_and(|own| marks.iter().any(|mark| own.starts_with(mark.as_ref().as_bytes())))
    }
}

/// The process with this id, unless it has ended.
pub(super) fn look(pid: u32) -> Option<Process> {
    let stat = Stat::of(pid).filter(|stat| !stat.ended)?;
    Some(Process { pid, stat })
}

/// Waits, at most one second, until the mark of a process that was just spawned is visible: before it executes its
/// program, its environment has no mark.
pub(super) fn await_mark(pid: u32, mark: &str) {
    let deadline = Instant::now() + Duration::from_secs(1);
    while look(pid).is_some_and(|process| !process.marked(&[mark])) && Instant::now() < deadline {
        std::thread::yield_now();
    }
}

/// All processes whose mark begins with one of `marks`, and their descendants.
pub(super) fn marked(marks: &[impl AsRef<str>]) -> Vec<Process> {
    let all: Vec<Process> = Stat::all()
        .filter(|(_, stat)| !stat.ended)
        .map(|(pid, stat)| Process { pid, stat })
        .collect();
    let marked = all.iter().filter(|process| process.marked(marks));
    let found = descendants(&all, marked.map(|process| process.pid).collect());
    all.into_iter()
        .filter(|process| found.contains(&process.pid))
        .collect()
}

/// The processes in `found` and all their descendants.
fn descendants(all: &[Process], mut found: BTreeSet<u32>) -> BTreeSet<u32> {
    loop {
        let children = all.iter().filter(|process| found.contains(&process.stat.parent));
        let more: Vec<u32> = children
            .map(|process| process.pid)
            .filter(|pid| !found.contains(pid))
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_that_was_just_spawned_is_found_by_its_mark() {
        for _ in 0..300 {
            let mut command = Command::new("/bin/sleep");
            let mut child = command.arg("10").env(MARK, "one/two").spawn().unwrap();
            await_mark(child.id(), "one/two");
            let found = look(child.id()).is_some_and(|process| process.marked(&["one/"]));
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(found, "its mark is not visible");
        }
    }

    #[test]
    fn descendants_are_found_in_any_order_of_the_processes() {
        let process = |pid, parent| Process {
            pid,
            stat: Stat {
                parent,
                ..Stat::default()
            },
        };
        let all = [
            process(9, 5),
            process(5, 2),
            process(2, 1),
            process(7, 1),
            process(8, 7),
        ];
        assert_eq!(descendants(&all, BTreeSet::from([2])), BTreeSet::from([2, 5, 9]));
        assert_eq!(descendants(&all, BTreeSet::new()), BTreeSet::new());
    }
}
