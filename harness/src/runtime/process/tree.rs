//! The processes of a container, found by a mark in their environment and by descent, so that none is missed that got
//! another parent or another process group.

use std::collections::BTreeSet;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// The variable that holds the mark: the container's id, `/`, and a word of the run.
pub(super) const MARK: &str = "SERVICE_MESH_CONTAINER";

/// A process that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) parent: u32,
    /// When it started, in whatever unit the system counts: no two with the same id have the same.
    started: u64,
    /// Whether it stands still.
    pub(super) stopped: bool,
    /// Its program's name.
    pub(super) name: String,
}

impl Process {
    /// Sends it a signal. One that has ended does not mind.
    pub(super) fn signal(&self, signal: Signal) {
        let same = look(self.pid).is_some_and(|now| now.started == self.started);
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

    /// Whether the mark in its environment begins like one of `marks`.
    fn marked(&self, marks: &[impl AsRef<str>]) -> bool {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        let own = variables.find_map(|variable| variable.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="));
        own.is_some_and(|own| marks.iter().any(|mark| own.starts_with(mark.as_ref().as_bytes())))
    }
}

/// The process with this id, unless it has ended.
pub(super) fn look(pid: u32) -> Option<Process> {
    from_stat(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// All processes whose mark begins like one of `marks`, and their descendants.
pub(super) fn marked(marks: &[impl AsRef<str>]) -> Vec<Process> {
    let listed = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all: Vec<Process> = listed
        .filter_map(|entry| look(entry.file_name().to_str()?.parse().ok()?))
        .collect();
    let marked = all.iter().filter(|process| process.marked(marks));
    let found = descendants(&all, marked.map(|process| process.pid).collect());
    all.into_iter()
        .filter(|process| found.contains(&process.pid))
        .collect()
}

/// These, and all that descend from them.
fn descendants(all: &[Process], mut found: BTreeSet<u32>) -> BTreeSet<u32> {
    loop {
        let children = all.iter().filter(|process| found.contains(&process.parent));
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

/// What proc(5)'s `stat` tells; the program's name may hold anything, so fields are counted from its end.
fn from_stat(pid: u32, stat: &str) -> Option<Process> {
    let (open, close) = (stat.find('(')?, stat.rfind(')')?);
    let fields: Vec<&str> = stat.get(close + 1..)?.split_whitespace().collect();
    let state = *fields.first()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
        stopped: state == "T",
        name: stat.get(open + 1..close)?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &str = "1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 77 0 0";

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let process = from_stat(5, &format!("5 (a) (b) S 3 {TAIL}")).unwrap();
        assert_eq!((process.parent, process.started), (3, 77));
        assert_eq!((process.name.as_str(), process.stopped), ("a) (b", false));
        assert!(from_stat(5, &format!("5 (a) T 3 {TAIL}")).unwrap().stopped);
        for over in [
            format!("5 (a) Z 3 {TAIL}"),
            "5 (a) S".to_owned(),
            ")(".to_owned(),
            String::new(),
        ] {
            assert_eq!(from_stat(5, &over), None, "{over}");
        }
    }

    #[test]
    fn descendants_are_found_in_whatever_order() {
        let process = |pid, parent| Process {
            pid,
            parent,
            started: 0,
            stopped: false,
            name: String::new(),
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
