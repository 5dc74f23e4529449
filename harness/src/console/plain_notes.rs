//! Which notes about a stage are printed if there is no terminal: a few short lines, less often the longer the stage
//! takes. Pure.

use std::time::{Duration, Instant};

use super::wrap::wrapped;

/// Time from a stage's start to its first line.
const FIRST: Duration = Duration::from_secs(1);
/// The time between lines doubles up to this.
const LONGEST: Duration = Duration::from_secs(10);
/// Lines printed at a time; the others are counted.
const LINES: usize = 3;
/// Width of a line, in columns.
const WIDTH: usize = 80;

/// The notes of one stage.
#[derive(Debug)]
pub(super) struct PlainNotes {
    started: Instant,
    printed: Instant,
    period: Duration,
    shown: Vec<String>,
}

impl PlainNotes {
    /// No notes of a stage that starts `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            started: now,
            printed: now,
            period: FIRST,
            shown: Vec::new(),
        }
    }

    /// The lines to print, if it is time: one for each of the first `notes` that was not among those printed last. If
    /// there is none, the first again, with the time since the stage's start.
    pub(super) fn due(&mut self, now: Instant, stage: &str, notes: &[String]) -> Vec<String> {
        if now.saturating_duration_since(self.printed) < self.period {
            return Vec::new();
        }
        let new: Vec<&String> = notes.iter().filter(|note| !self.shown.contains(note)).collect();
        let mut lines: Vec<String> = new
            .iter()
            .take(LINES)
            .map(|note| wrapped(&format!("{stage}: {note}"), WIDTH, 2))
            .collect();
        if let (true, Some(first)) = (new.is_empty(), notes.first()) {
            let seconds = now.saturating_duration_since(self.started).as_secs();
            lines.push(wrapped(
                &format!("{stage}: still {first} ({seconds} s)"),
                WIDTH,
                2,
            ));
        }
        if new.len() > LINES {
            lines.push(format!("{stage}: and {} more", new.len() - LINES));
        }
        self.printed = now;
        self.period = (self.period * 2).min(LONGEST);
        self.shown = notes.to_vec();
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn each_note_is_a_line_and_the_others_are_counted() {
        let start = Instant::now();
        let mut plain = PlainNotes::new(start);
        assert_eq!(
            plain.due(start, "wait", &notes(&["a"])),
            [""; 0],
            "the stage just started"
        );
        let lines = plain.due(start + FIRST, "wait", &notes(&["a", "b", "c", "d", "e"]));
        assert_eq!(lines, ["wait: a", "wait: b", "wait: c", "wait: and 2 more"]);
        let later = plain.due(start + 10 * FIRST, "wait", &notes(&["e", "f"]));
        assert_eq!(later, ["wait: f"], "what was printed or counted is not repeated");
        let unchanged = plain.due(start + 20 * FIRST, "wait", &notes(&["f"]));
        assert_eq!(unchanged, ["wait: still f (20 s)"]);
        let long = "word ".repeat(40);
        let lines = plain.due(start + 60 * FIRST, "wait", &notes(&[long.trim()]));
        assert!(lines[0].lines().all(|line| line.len() <= WIDTH), "{lines:?}");
    }

    #[test]
    fn the_time_between_lines_grows_to_ten_seconds() {
        let start = Instant::now();
        let mut plain = PlainNotes::new(start);
        let printed: Vec<u64> = (1..=60)
            .filter(|second| {
                let now = start + Duration::from_secs(*second);
                !plain.due(now, "wait", &[second.to_string()]).is_empty()
            })
            .collect();
        assert_eq!(printed, [1, 3, 7, 15, 25, 35, 45, 55]);
    }
}
