//! Renders entries as a text file. Pure.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use super::{Entry, EntryKind};
use crate::clock;

/// The first line of every timeline, by which a file is recognised as one.
pub(super) const TITLE: &str = "Timeline of a failure of the mesh";

/// A time interval whose entries are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Start, inclusive.
    pub from: SystemTime,
    /// End, inclusive.
    pub to: SystemTime,
}

impl Window {
    /// The interval from `at - before` to `at + after`.
    pub fn around(at: SystemTime, before: Duration, after: Duration) -> Self {
        Self {
            from: at.checked_sub(before).unwrap_or(SystemTime::UNIX_EPOCH),
            to: at + after,
        }
    }

    fn contains(&self, at: SystemTime) -> bool {
        self.from <= at && at <= self.to
    }
}

/// Renders the entries within any of `windows`, sorted by time. The header has `about` and those of the `containers`
/// (ID, name) that occur in the entries.
pub(super) fn render(
    about: &str,
    containers: &[(String, String)],
    mut entries: Vec<Entry>,
    windows: &[Window],
) -> String {
    // A stable sort: entries with the same source and time keep their order.
    entries.sort_by_key(|entry| entry.at);
    let mut text = format!("{TITLE}\n\n{}\n\n", about.trim_end());
    // Writing to a String does not fail.
    let day = windows.iter().map(|window| window.from).min();
    let day = day.unwrap_or(SystemTime::UNIX_EPOCH);
    let _ = writeln!(
        text,
        "Times are UTC, on {}. Columns: time, kind, source, event.",
        clock::date(day)
    );
    let _ = writeln!(
        text,
        "Kinds: engine (a container event), log (a container's log line, dated by the engine), view (a change of its\n\
         sidecar's view, polled every 100 ms), request (a failed request, dated by its end), harness."
    );
    let within = |entry: &Entry| windows.iter().any(|window| window.contains(entry.at));
    let occurs = |name: &String| entries.iter().any(|entry| entry.source == *name && within(entry));
    for (id, name) in containers.iter().filter(|(_, name)| occurs(name)) {
        let _ = writeln!(text, "  {} {name}", id.get(..12).unwrap_or(id));
    }
    text.push('\n');
    let shown = entries.iter().filter(|entry| within(entry));
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

fn kind(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Engine => "engine",
        EntryKind::Log => "log",
        EntryKind::Membership => "view",
        EntryKind::Request => "request",
        EntryKind::Harness => "harness",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_498_687) + Duration::from_millis(milliseconds)
    }

    fn entry(milliseconds: u64, kind: EntryKind, source: &str, text: &str) -> Entry {
        Entry {
            at: at(milliseconds),
            source: source.to_owned(),
            kind,
            text: text.to_owned(),
        }
    }

    #[test]
    fn entries_are_sorted_by_time_and_gaps_are_marked() {
        let entries = vec![
            entry(900, EntryKind::Log, "m-lb", "later\nand more"),
            entry(0, EntryKind::Log, "m-lb", "too early"),
            entry(1, EntryKind::Log, "m-lb", "too early as well"),
            entry(700, EntryKind::Engine, "m-service-a", "die (exit code 137)"),
            entry(850, EntryKind::Request, "frontend:8080/service-a", "failed"),
            entry(800, EntryKind::Membership, "m-lb", "forgets a"),
            entry(701, EntryKind::Harness, "kill", "kills service-a"),
            entry(5000, EntryKind::Log, "m-lb", "too late"),
        ];
        let windows = [
            Window::around(at(800), Duration::from_millis(100), Duration::from_millis(50)),
            Window::around(at(900), Duration::ZERO, Duration::ZERO),
        ];
        let container = |id: &str, name: &str| (id.to_owned(), name.to_owned());
        let containers = [container("0123456789abcdef", "m-lb"), container("x", "silent")];
        let expected = "\
Timeline of a failure of the mesh

kill does not hold

Times are UTC, on 2026-11-24. Columns: time, kind, source, event.
Kinds: engine (a container event), log (a container's log line, dated by the engine), view (a change of its
sidecar's view, polled every 100 ms), request (a failed request, dated by its end), harness.
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
