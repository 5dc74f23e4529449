//! Entries as a file for people: pure.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use super::{Entry, Kind};
use crate::clock;

/// A stretch of time that is told in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its begin.
    pub from: SystemTime,
    /// Its end.
    pub to: SystemTime,
}

impl Window {
    /// From so long before a moment until so long after.
    pub fn around(at: SystemTime, before: Duration, after: Duration) -> Self {
        Self {
            from: at.checked_sub(before).unwrap_or(SystemTime::UNIX_EPOCH),
            to: at + after,
        }
    }

    fn holds(&self, at: SystemTime) -> bool {
        self.from <= at && at <= self.to
    }
}

/// The entries within any of `windows`, by their times, below `about` and the names of those containers (id and name)
/// that they tell of.
pub(super) fn render(
    about: &str,
    containers: &[(String, String)],
    mut entries: Vec<Entry>,
    windows: &[Window],
) -> String {
    // Stable, so that entries of one source and time keep their order.
    entries.sort_by_key(|entry| entry.at);
    let mut text = format!("{}\n\n", about.trim_end());
    // Writing to a String does not fail.
    let day = windows.iter().map(|window| window.from).min();
    let day = day.unwrap_or(SystemTime::UNIX_EPOCH);
    let _ = writeln!(
        text,
        "Times are UTC, on {}. Columns: time, kind, source, what.",
        clock::date(day)
    );
    let _ = writeln!(
        text,
        "Kinds: engine (what it did to a container), log (a line that it wrote, dated by the engine), view (what its \
         sidecar believes, read every 100 ms), request (one that failed, dated by its end), harness."
    );
    let within = |entry: &Entry| windows.iter().any(|window| window.holds(entry.at));
    let told = |name: &String| entries.iter().any(|entry| entry.source == *name && within(entry));
    for (id, name) in containers.iter().filter(|(_, name)| told(name)) {
        let _ = writeln!(text, "  {} {name}", id.get(..12).unwrap_or(id));
    }
    text.push('\n');
    let shown = entries.iter().filter(|entry| within(entry));
    // The column that tells the source is as wide as the longest.
    let width = shown.map(|entry| entry.source.chars().count()).max();
    let width = width.unwrap_or_default();
    let mut left_out = 0_usize;
    for entry in &entries {
        if !within(entry) {
            left_out += 1;
            continue;
        }
        gap(&mut text, &mut left_out);
        let mut lines = entry.text.lines();
        let _ = writeln!(
            text,
            "{} {:8} {:width$} {}",
            clock::time_of_day(entry.at),
            kind(entry.kind),
            entry.source,
            lines.next().unwrap_or_default()
        );
        for line in lines {
            let _ = writeln!(text, "{:22}{:width$} {line}", "", "");
        }
    }
    gap(&mut text, &mut left_out);
    text
}

fn gap(text: &mut String, left_out: &mut usize) {
    if *left_out > 0 {
        let entries = if *left_out == 1 { "entry" } else { "entries" };
        let _ = writeln!(text, "             ... {left_out} {entries} left out ...");
        *left_out = 0;
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Engine => "engine",
        Kind::Log => "log",
        Kind::Membership => "view",
        Kind::Request => "request",
        Kind::Harness => "harness",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_498_687) + Duration::from_millis(milliseconds)
    }

    fn entry(milliseconds: u64, kind: Kind, source: &str, text: &str) -> Entry {
        Entry {
            at: at(milliseconds),
            source: source.to_owned(),
            kind,
            text: text.to_owned(),
        }
    }

    #[test]
    fn all_kinds_are_merged_by_their_times_and_gaps_are_told() {
        let entries = vec![
            entry(900, Kind::Log, "m-lb", "later\nand more"),
            entry(0, Kind::Log, "m-lb", "too early"),
            entry(1, Kind::Log, "m-lb", "too early as well"),
            entry(700, Kind::Engine, "m-service-a", "die (exit code 137)"),
            entry(850, Kind::Request, "frontend:8080/service-a", "failed"),
            entry(800, Kind::Membership, "m-lb", "forgets a"),
            entry(701, Kind::Harness, "kill", "kills service-a"),
            entry(5000, Kind::Log, "m-lb", "too late"),
        ];
        let windows = [
            Window::around(at(800), Duration::from_millis(100), Duration::from_millis(50)),
            Window::around(at(900), Duration::ZERO, Duration::ZERO),
        ];
        let container = |id: &str, name: &str| (id.to_owned(), name.to_owned());
        let containers = [container("0123456789abcdef", "m-lb"), container("x", "silent")];
        let expected = "\
kill does not hold

Times are UTC, on 2026-11-24. Columns: time, kind, source, what.
Kinds: engine (what it did to a container), log (a line that it wrote, dated by the engine), view (what its sidecar believes, read every 100 ms), request (one that failed, dated by its end), harness.
  0123456789ab m-lb

             ... 2 entries left out ...
05:38:07.700 engine   m-service-a             die (exit code 137)
05:38:07.701 harness  kill                    kills service-a
05:38:07.800 view     m-lb                    forgets a
05:38:07.850 request  frontend:8080/service-a failed
05:38:07.900 log      m-lb                    later
                                              and more
             ... 1 entry left out ...
";
        assert_eq!(
            render("kill does not hold\n", &containers, entries, &windows),
            expected
        );
    }
}
