//! What processes have used, by the kernel's own account.

use std::path::Path;
use std::time::Duration;

/// One process, from the `stat` of proc(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    group: u32,
    /// Processor time of all its threads and of its children that have ended, theirs too, in clock ticks.
    ticks: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name before stands in parentheses and may have any others within.
        let (_, behind) = text.rsplit_once(')')?;
        let fields: Vec<&str> = behind.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(number(1)?).ok()?,
            group: u32::try_from(number(2)?).ok()?,
            ticks: number(11)? + number(12)? + number(13)? + number(14)?,
        })
    }
}

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
        members(self.root, processes(Path::new("/proc")))
    }
}

fn processes(proc: &Path) -> Vec<(u32, Stat)> {
    let entries = std::fs::read_dir(proc).into_iter().flatten().flatten();
    let process = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let text = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        Some((pid, Stat::parse(&text)?))
    };
    entries.filter_map(process).collect()
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
    fn processor_time_is_that_of_threads_and_of_ended_children() {
        let text = "4711 (odd) name (x) S 12 4700 4700 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 9 0 55 6 7\n";
        let stat = Stat {
            parent: 12,
            group: 4700,
            ticks: 127,
        };
        assert_eq!(Stat::parse(text), Some(stat));
        for broken in ["", "4711 (x) S 12", "4711 (x) S a b c d e f g h i j k l m n"] {
            assert_eq!(Stat::parse(broken), None, "{broken}");
        }
    }

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
            ticks: 1,
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
