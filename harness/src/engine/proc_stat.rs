//! Parses `/proc/PID/stat` (proc(5)).

use std::path::Path;

use procfs_core::FromRead;

/// A process, possibly a zombie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Its program's name, at most 15 bytes.
    pub(crate) name: String,
    /// Whether it is a zombie: it has ended, but its parent has not waited for it.
    pub(crate) ended: bool,
    /// Whether SIGSTOP has stopped it.
    pub(crate) stopped: bool,
    /// The parent's process id.
    pub(crate) parent: u32,
    /// The process group's id.
    pub(crate) group: u32,
    /// Start time in clock ticks since boot. Together with the process id it identifies a process.
    pub(crate) started: u64,
}

impl Stat {
    /// The process with this id, if there is one.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = procfs_core::process::Stat::from_file(format!("/proc/{pid}/stat")).ok()?;
        Some(Self {
            ended: matches!(stat.state, 'Z' | 'X'),
            stopped: stat.state == 'T',
            parent: stat.ppid.try_into().ok()?,
            group: stat.pgrp.try_into().ok()?,
            started: stat.starttime,
            name: stat.comm,
        })
    }

    /// All processes, each with its id; none on a system without `/proc`.
    pub(crate) fn all() -> impl Iterator<Item = (u32, Self)> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, Self::of(pid)?))
        })
    }

    /// Whether this system lists processes in `/proc`.
    pub(crate) fn available() -> bool {
        Path::new("/proc/self/stat").exists()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn all_includes_this_process() {
        let pid = std::process::id();
        let (_, found) = Stat::all().find(|(other, _)| *other == pid).unwrap();
        let now = Stat::of(pid).unwrap();
        assert_eq!((found.started, found.parent), (now.started, now.parent));
        assert!(!now.ended && !now.stopped);
    }

    #[test]
    fn a_zombie_counts_as_ended() {
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while Stat::of(child.id()).is_some_and(|stat| !stat.ended) {
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
        assert_eq!(Stat::of(child.id()).unwrap().parent, std::process::id());
        child.wait().unwrap();
        assert_eq!(Stat::of(child.id()), None);
    }
}
