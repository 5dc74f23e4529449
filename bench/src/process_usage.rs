//! CPU time and memory of processes, as reported by the kernel in proc(5).

use std::fs::{self, File};
use std::io::BufReader;
use std::time::Duration;

use procfs_core::process::{SmapsRollup, Stat};
use procfs_core::{FromBufRead, FromRead};

/// Memory of one or more processes, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident set size: a page shared by several processes counts in full for each.
    pub resident: u64,
    /// Proportional set size: a page shared by several processes is divided among them.
    pub proportional: u64,
}

impl Memory {
    fn of(pid: i32) -> Option<Self> {
        let file = File::open(format!("/proc/{pid}/smaps_rollup")).ok()?;
        Self::from_rollup(&SmapsRollup::from_buf_read(BufReader::new(file)).ok()?)
    }

    fn from_rollup(rollup: &SmapsRollup) -> Option<Self> {
        let values = &rollup.memory_map_rollup.0.first()?.extension.map;
        Some(Self {
            resident: *values.get("Rss")?,
            proportional: *values.get("Pss")?,
        })
    }
}

/// A process with its process group and all descendants.
#[derive(Debug, Clone, Copy)]
pub struct ProcessTree {
    /// Id of the first process, the leader of the group.
    pub root: u32,
}

impl ProcessTree {
    /// User and system time of the tree so far, including threads and ended children. The resolution is a clock tick,
    /// usually 10 ms.
    pub fn cpu_time(self) -> Duration {
        let own = |stat: &Stat| stat.utime + stat.stime;
        let children = |stat: &Stat| u64::try_from(stat.cutime + stat.cstime).unwrap_or_default();
        let ticks: u64 = self.stats().iter().map(|stat| own(stat) + children(stat)).sum();
        Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// Memory of the tree.
    pub fn memory(self) -> Memory {
        let mut sum = Memory::default();
        for memory in self.stats().iter().filter_map(|stat| Memory::of(stat.pid)) {
            sum.resident += memory.resident;
            sum.proportional += memory.proportional;
        }
        sum
    }

    fn stats(self) -> Vec<Stat> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let stats = entries.filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            // A process that ended after the listing is skipped.
            Stat::from_file(format!("/proc/{pid}/stat")).ok()
        });
        i32::try_from(self.root).map_or_else(|_| Vec::new(), |root| tree(root, stats.collect()))
    }
}

/// The processes of `all` that descend from `root` or are in its group.
fn tree(root: i32, all: Vec<Stat>) -> Vec<Stat> {
    let (mut within, mut others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|stat| stat.pid == root || stat.pgrp == root);
    loop {
        let (found, rest): (Vec<_>, Vec<_>) = others
            .into_iter()
            .partition(|stat| within.iter().any(|parent| parent.pid == stat.ppid));
        if found.is_empty() {
            return within;
        }
        within.extend(found);
        others = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_in_bytes() {
        let text = "55810000-7ffd0000 ---p 00000000 00:00 0    [rollup]\n\
             Rss:                1708 kB\nPss:                 282 kB\nPss_Dirty:           112 kB\n";
        let expected = Memory {
            resident: 1708 * 1024,
            proportional: 282 * 1024,
        };
        let rollup = SmapsRollup::from_buf_read(text.as_bytes()).unwrap();
        assert_eq!(Memory::from_rollup(&rollup), Some(expected));
    }

    #[test]
    fn a_tree_is_a_group_with_all_descendants() {
        let stat = |(pid, parent, group): (i32, i32, i32)| {
            let zeros = "0 ".repeat(47);
            let text = format!("{pid} (a) S {parent} {group} {zeros}");
            Stat::from_read(text.as_bytes()).unwrap()
        };
        let all = [
            (1, 0, 1),
            (14, 13, 99),
            (13, 12, 99),
            (12, 10, 12),
            (11, 1, 10),
            (10, 1, 10),
            (20, 1, 20),
        ];
        let mut found: Vec<i32> = tree(10, all.map(stat).into())
            .iter()
            .map(|stat| stat.pid)
            .collect();
        found.sort_unstable();
        assert_eq!(found, [10, 11, 12, 13, 14]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_memory() {
        let tree = ProcessTree {
            root: std::process::id(),
        };
        let memory = tree.memory();
        assert!(memory.resident >= memory.proportional && memory.proportional > 0);
    }
}
