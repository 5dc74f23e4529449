//! What processes have used, by the kernel's own account.

use std::time::Duration;

use crate::engine::proc_stat::Stat;

/// Memory of a process or of several, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// What is resident; what several processes share counts for each.
    pub resident: u64,
    /// The same, where of what several share each has its part.
    pub proportional: u64,
}

impl Memory {
    /// From the `smaps_rollup` of proc(5).
    fn parse(text: &str) -> Option<Self> {
        let of = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key))?;
            let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            kib.checked_mul(1024)
        };
        Some(Self {
            resident: of("Rss:")?,
            proportional: of("Pss:")?,
        })
    }
}

/// A process with all that have come from it.
#[derive(Debug, Clone, Copy)]
pub struct Tree {
    /// Its first process, which is also the leader of the group that they are in.
    pub root: u32,
}

impl Tree {
    /// Processor time that the tree has used so far. The kernel counts it to the nanosecond and shows it in ticks,
    /// usually of 10 ms; threads and children that have ended are in it.
    pub fn processor_time(self) -> Duration {
        let ticks: u64 = self.members().iter().map(|(_, stat)| stat.ticks).sum();
        Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// Memory that the tree has.
    pub fn memory(self) -> Memory {
        let of = |pid: u32| {
            let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            Memory::parse(&text)
        };
        let mut sum = Memory::default();
        for memory in self.members().iter().filter_map(|(pid, _)| of(*pid)) {
            sum.resident += memory.resident;
            sum.proportional += memory.proportional;
        }
        sum
    }

    fn members(self) -> Vec<(u32, Stat)> {
        members(self.root, Stat::all().collect())
    }
}

/// Those that come from `root` or are in its group.
fn members(root: u32, all: Vec<(u32, Stat)>) -> Vec<(u32, Stat)> {
    let (mut within, mut others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|(pid, stat)| *pid == root || stat.group == root);
    loop {
        let (found, rest): (Vec<_>, Vec<_>) = others
            .into_iter()
            .partition(|(_, stat)| within.iter().any(|(pid, _)| *pid == stat.parent));
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
    fn memory_is_told_in_bytes() {
        let text = "5581-7ffd ---p 00000000 00:00 0    [rollup]\n\
             Rss:                1708 kB\nPss:                 282 kB\nPss_Dirty:           112 kB\n";
        let memory = Memory {
            resident: 1708 * 1024,
            proportional: 282 * 1024,
        };
        assert_eq!(Memory::parse(text), Some(memory));
        assert_eq!(Memory::parse("Rss: 1 kB\n"), None);
        assert_eq!(Memory::parse("Rss: one kB\nPss: 2 kB"), None);
    }

    #[test]
    fn a_tree_has_its_group_and_all_descendants() {
        let stat = |parent, group| Stat {
            parent,
            group,
            ..Stat::default()
        };
        let all = vec![
            (1, stat(0, 1)),
            (14, stat(13, 99)),
            (13, stat(12, 99)),
            (12, stat(10, 12)),
            (11, stat(1, 10)),
            (10, stat(1, 10)),
            (20, stat(1, 20)),
        ];
        let mut found: Vec<u32> = members(10, all).into_iter().map(|(pid, _)| pid).collect();
        found.sort_unstable();
        assert_eq!(found, [10, 11, 12, 13, 14]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory() {
        let tree = Tree {
            root: std::process::id(),
        };
        let memory = tree.memory();
        assert!(memory.resident >= memory.proportional && memory.proportional > 0);
    }
}
