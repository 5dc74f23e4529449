//! What the kernel tells of a process in the `stat` of proc(5).

use std::path::Path;

/// One process, also of one that has ended and was not waited for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Its program's name.
    pub(crate) name: String,
    /// Whether it has ended.
    pub(crate) over: bool,
    /// Whether it stands still.
    pub(crate) stopped: bool,
    pub(crate) parent: u32,
    pub(crate) group: u32,
    /// Processor time of all its threads and of its children that have ended, theirs too, in clock ticks.
    pub(crate) ticks: u64,
    /// When it started, in clock ticks since the system did: no two with the same id have the same.
    pub(crate) started: u64,
}

impl Stat {
    /// That of the process with this id; none where there is no such process.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Those of all processes, by their ids.
    pub(crate) fn all() -> impl Iterator<Item = (u32, Self)> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, Self::of(pid)?))
        })
    }

    /// Whether this system tells of processes so.
    pub(crate) fn known() -> bool {
        Path::new("/proc/self/stat").exists()
    }

    /// The name may hold anything, also what ends it, so the fields behind it are counted from its last end.
    fn parse(text: &str) -> Option<Self> {
        let (before, behind) = text.rsplit_once(')')?;
        let (_, name) = before.split_once('(')?;
        let fields: Vec<&str> = behind.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        let state = *fields.first()?;
        Some(Self {
            name: name.to_owned(),
            over: matches!(state, "Z" | "X"),
            stopped: state == "T",
            parent: number(1)?.try_into().ok()?,
            group: number(2)?.try_into().ok()?,
            ticks: number(11)? + number(12)? + number(13)? + number(14)?,
            started: number(19)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, state: &str) -> String {
        format!("4711 ({name}) {state} 12 4700 4700 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 9 0 55 6 7\n")
    }

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = Stat {
            name: "odd) name (x".to_owned(),
            over: false,
            stopped: false,
            parent: 12,
            group: 4700,
            ticks: 127,
            started: 55,
        };
        assert_eq!(Stat::parse(&text("odd) name (x", "S")), Some(stat));
    }

    #[test]
    fn its_state_tells_whether_it_runs_stands_still_or_has_ended() {
        let states = ["R", "S", "T", "Z", "X"].map(|state| {
            let stat = Stat::parse(&text("a", state)).unwrap();
            (stat.stopped, stat.over)
        });
        let (runs, stands, ended) = ((false, false), (true, false), (false, true));
        assert_eq!(states, [runs, runs, stands, ended, ended]);
    }

    #[test]
    fn what_is_no_stat_tells_nothing() {
        for text in ["", "nonsense", ")(", "5 (a) S", "5 (a) S 1 2 x"] {
            assert_eq!(Stat::parse(text), None, "{text:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_among_all() {
        let pid = std::process::id();
        let (_, found) = Stat::all().find(|(other, _)| *other == pid).unwrap();
        let now = Stat::of(pid).unwrap();
        assert_eq!((found.started, found.parent), (now.started, now.parent));
        assert!(!now.over);
    }
}
