//! The collected entries, in bounded memory. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use super::problem_line::{ProblemLine, is_problem};
use super::{Entry, EntryKind};
use crate::clock;

/// Latest lines kept of each container.
const MAX_LINES: usize = 5_000;
/// Characters kept of each line.
const MAX_LINE: usize = 2_000;
/// Latest entries of other kinds kept.
const MAX_ENTRIES: usize = 50_000;
/// WARN and ERROR lines kept until they are taken; further ones are dropped.
const MAX_PROBLEM_LINES: usize = 1_000;

/// All collected entries of one run.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    logs: BTreeMap<String, ContainerLog>,
    entries: VecDeque<Entry>,
    problem_lines: Vec<ProblemLine>,
}

/// The log of one container.
#[derive(Debug)]
struct ContainerLog {
    name: String,
    /// Whether the container has been removed and its log read to the end.
    removed: bool,
    /// Number of lines read.
    seen: usize,
    /// Time of the latest line.
    last: SystemTime,
    lines: VecDeque<Entry>,
}

impl EventLog {
    pub(super) fn add(&mut self, entry: Entry) {
        if self.entries.len() >= MAX_ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// Registers a container's name by its ID.
    pub(super) fn container(&mut self, id: &str, name: &str) {
        self.logs.entry(id.to_owned()).or_insert_with(|| ContainerLog {
            name: name.to_owned(),
            removed: false,
            seen: 0,
            last: SystemTime::UNIX_EPOCH,
            lines: VecDeque::new(),
        });
    }

    /// Marks a container as removed and its log as read to the end.
    pub(super) fn mark_removed(&mut self, id: &str) {
        if let Some(log) = self.logs.get_mut(id) {
            log.removed = true;
        }
    }

    /// IDs of the containers that have not been removed.
    pub(super) fn present(&self) -> Vec<String> {
        let present = self.logs.iter().filter(|(_, log)| !log.removed);
        present.map(|(id, _)| id.clone()).collect()
    }

    /// IDs and names of all containers, including removed ones.
    pub(super) fn containers(&self) -> Vec<(String, String)> {
        let named = self.logs.iter().map(|(id, log)| (id.clone(), log.name.clone()));
        named.collect()
    }

    /// Adds line number `index` of a container's log, in the form `RFC3339-TIME TEXT`. Several readers read the same
    /// log from its start; a line that another reader has added already is ignored.
    pub(super) fn line(&mut self, id: &str, index: usize, dated: &str) {
        let Some(log) = self.logs.get_mut(id) else {
            return;
        };
        let (at, text) = dated.split_once(' ').unwrap_or((dated, ""));
        let at = clock::parse(at).unwrap_or(log.last);
        // A restarted log numbers its lines from 0 again, but their times are later.
        if index < log.seen && at <= log.last {
            return;
        }
        log.seen = log.seen.max(index + 1);
        log.last = log.last.max(at);
        if text.is_empty() {
            return;
        }
        let text: String = text.chars().take(MAX_LINE).collect();
        if is_problem(&text) && self.problem_lines.len() < MAX_PROBLEM_LINES {
            self.problem_lines.push(ProblemLine {
                at,
                container: log.name.clone(),
                line: text.clone(),
            });
        }
        if log.lines.len() >= MAX_LINES {
            log.lines.pop_front();
        }
        log.lines.push_back(Entry {
            at,
            source: log.name.clone(),
            kind: EntryKind::Log,
            text,
        });
    }

    pub(super) fn take_suspects(&mut self) -> Vec<ProblemLine> {
        let mut problem_lines = std::mem::take(&mut self.problem_lines);
        problem_lines.sort_by_key(|problem| problem.at);
        problem_lines
    }

    /// All entries kept. Entries of the same source are in their original order.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let lines = self.logs.values().flat_map(|log| &log.lines);
        self.entries.iter().chain(lines).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> EventLog {
        let mut log = EventLog::default();
        log.container("id", "service-a");
        log
    }

    fn texts(log: &EventLog) -> Vec<String> {
        log.entries().into_iter().map(|entry| entry.text).collect()
    }

    const LINES: [&str; 3] = [
        "1970-01-01T00:00:01.0Z one",
        "1970-01-01T00:00:01.0Z one",
        "1970-01-01T00:00:02.0Z two words",
    ];

    #[test]
    fn a_line_read_by_two_readers_is_added_once() {
        let mut log = log();
        log.line("id", 0, LINES[0]);
        for (index, line) in LINES.iter().enumerate() {
            log.line("id", index, line);
        }
        for (index, line) in LINES.iter().enumerate() {
            log.line("id", index, line);
        }
        assert_eq!(texts(&log), ["one", "one", "two words"]);
        assert_eq!(log.entries()[2].source, "service-a");
    }

    #[test]
    fn a_restarted_log_continues() {
        let mut log = log();
        for (index, line) in LINES.iter().enumerate() {
            log.line("id", index, line);
        }
        log.line("id", 0, "1970-01-01T00:00:03.0Z three");
        assert_eq!(texts(&log), ["one", "one", "two words", "three"]);
    }

    #[test]
    fn problem_lines_are_taken_once() {
        let mut log = log();
        log.line(
            "id",
            0,
            "1970-01-01T00:00:01Z 1970-01-01T00:00:01.000000Z  WARN sidecar: late",
        );
        log.line(
            "id",
            1,
            "1970-01-01T00:00:01Z 1970-01-01T00:00:01.000000Z  INFO sidecar: fine",
        );
        let problem_lines = log.take_suspects();
        assert_eq!(problem_lines.len(), 1);
        assert_eq!(problem_lines[0].container, "service-a");
        assert!(log.take_suspects().is_empty());
    }

    #[test]
    fn lines_are_bounded_in_number_and_length() {
        let mut log = log();
        for index in 0..MAX_LINES + 10 {
            let line = format!("1970-01-01T00:00:01Z {index}{}", "x".repeat(MAX_LINE));
            log.line("id", index, &line);
        }
        assert_eq!(log.entries().len(), MAX_LINES);
        let texts = texts(&log);
        assert!(texts[0].starts_with("10x") && texts[0].len() == MAX_LINE);
        log.line("unknown", 0, "1970-01-01T00:00:01Z lost");
        assert_eq!(log.entries().len(), MAX_LINES);
    }
}
