//! The entries that were collected: pure, and bounded.

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use super::{Entry, Kind, level};
use crate::clock;

/// Lines that are kept of each container, the latest.
const MAX_LINES: usize = 5_000;
/// Characters that are kept of each line.
const MAX_LINE: usize = 2_000;
/// Other entries that are kept, the latest.
const MAX_ENTRIES: usize = 50_000;
/// WARN and ERROR lines that are kept until they are looked at, the first.
const MAX_SUSPECTS: usize = 1_000;

/// A line that says that something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// When it was written.
    pub at: SystemTime,
    /// The container.
    pub container: String,
    /// The line.
    pub line: String,
}

/// All entries.
#[derive(Debug, Default)]
pub(super) struct Book {
    logs: BTreeMap<String, Log>,
    entries: VecDeque<Entry>,
    suspects: Vec<Suspect>,
}

/// What one container wrote.
#[derive(Debug)]
struct Log {
    name: String,
    /// Whether the container is gone, so that it writes no more.
    gone: bool,
    /// How many lines of it were read.
    seen: usize,
    /// When the last of them was written.
    last: SystemTime,
    lines: VecDeque<Entry>,
}

impl Book {
    pub(super) fn add(&mut self, entry: Entry) {
        if self.entries.len() >= MAX_ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// Names a container, by its id.
    pub(super) fn container(&mut self, id: &str, name: &str) {
        self.logs.entry(id.to_owned()).or_insert_with(|| Log {
            name: name.to_owned(),
            gone: false,
            seen: 0,
            last: SystemTime::UNIX_EPOCH,
            lines: VecDeque::new(),
        });
    }

    /// A container is gone, and all of its log that there is was read.
    pub(super) fn gone(&mut self, id: &str) {
        if let Some(log) = self.logs.get_mut(id) {
            log.gone = true;
        }
    }

    /// The ids of the containers that are there.
    pub(super) fn present(&self) -> Vec<String> {
        let present = self.logs.iter().filter(|(_, log)| !log.gone);
        present.map(|(id, _)| id.clone()).collect()
    }

    /// The ids and names of all containers, those that are gone included.
    pub(super) fn containers(&self) -> Vec<(String, String)> {
        let named = self.logs.iter().map(|(id, log)| (id.clone(), log.name.clone()));
        named.collect()
    }

    /// Takes the line at `index` of a container's log, as a reader that began with the first has it: after its time
    /// and a space. Where another reader was faster it is known already.
    pub(super) fn line(&mut self, id: &str, index: usize, dated: &str) {
        let Some(log) = self.logs.get_mut(id) else {
            return;
        };
        let (at, text) = dated.split_once(' ').unwrap_or((dated, ""));
        let at = clock::parse(at).unwrap_or(log.last);
        // A log that began anew counts its lines anew, but they are later.
        if index < log.seen && at <= log.last {
            return;
        }
        log.seen = log.seen.max(index + 1);
        log.last = log.last.max(at);
        if text.is_empty() {
            return;
        }
        let text: String = text.chars().take(MAX_LINE).collect();
        if level::is_suspect(&text) && self.suspects.len() < MAX_SUSPECTS {
            self.suspects.push(Suspect {
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
            kind: Kind::Log,
            text,
        });
    }

    pub(super) fn take_suspects(&mut self) -> Vec<Suspect> {
        let mut suspects = std::mem::take(&mut self.suspects);
        suspects.sort_by_key(|suspect| suspect.at);
        suspects
    }

    /// All that is kept; each source's own order is kept too.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let lines = self.logs.values().flat_map(|log| &log.lines);
        self.entries.iter().chain(lines).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> Book {
        let mut book = Book::default();
        book.container("id", "service-a");
        book
    }

    fn texts(book: &Book) -> Vec<String> {
        book.entries().into_iter().map(|entry| entry.text).collect()
    }

    const LINES: [&str; 3] = [
        "1970-01-01T00:00:01.0Z one",
        "1970-01-01T00:00:01.0Z one",
        "1970-01-01T00:00:02.0Z two words",
    ];

    #[test]
    fn what_two_readers_bring_is_kept_once() {
        let mut book = book();
        book.line("id", 0, LINES[0]);
        for (index, line) in LINES.iter().enumerate() {
            book.line("id", index, line);
        }
        for (index, line) in LINES.iter().enumerate() {
            book.line("id", index, line);
        }
        assert_eq!(texts(&book), ["one", "one", "two words"]);
        assert_eq!(book.entries()[2].source, "service-a");
    }

    #[test]
    fn a_log_that_began_anew_is_read_on() {
        let mut book = book();
        for (index, line) in LINES.iter().enumerate() {
            book.line("id", index, line);
        }
        book.line("id", 0, "1970-01-01T00:00:03.0Z three");
        assert_eq!(texts(&book), ["one", "one", "two words", "three"]);
    }

    #[test]
    fn lines_that_tell_of_trouble_are_handed_out_once() {
        let mut book = book();
        book.line(
            "id",
            0,
            "1970-01-01T00:00:01Z 1970-01-01T00:00:01.000000Z  WARN sidecar: late",
        );
        book.line(
            "id",
            1,
            "1970-01-01T00:00:01Z 1970-01-01T00:00:01.000000Z  INFO sidecar: fine",
        );
        let suspects = book.take_suspects();
        assert_eq!(suspects.len(), 1);
        assert_eq!(suspects[0].container, "service-a");
        assert!(book.take_suspects().is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let mut book = book();
        for index in 0..MAX_LINES + 10 {
            let line = format!("1970-01-01T00:00:01Z {index}{}", "x".repeat(MAX_LINE));
            book.line("id", index, &line);
        }
        assert_eq!(book.entries().len(), MAX_LINES);
        let texts = texts(&book);
        assert!(texts[0].starts_with("10x") && texts[0].len() == MAX_LINE);
        book.line("nobody", 0, "1970-01-01T00:00:01Z lost");
        assert_eq!(book.entries().len(), MAX_LINES);
    }
}
