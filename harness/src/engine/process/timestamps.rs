//! Timestamps of log lines, parsed from lines that begin with a time, as the sidecar's do. Pure.

use std::time::{Duration, UNIX_EPOCH};

use crate::clock;

/// Prefixes the lines of one log with their times.
#[derive(Debug)]
pub(super) struct Timestamps {
    /// The time of the previous line.
    last: String,
}

impl Timestamps {
    /// For a log that begins at `begins`, in milliseconds since 1970.
    pub(super) fn new(begins: u64) -> Self {
        Self {
            last: clock::rfc3339_whole(UNIX_EPOCH + Duration::from_millis(begins)),
        }
    }

    /// The line prefixed with its time and a space. A line without a time has that of the previous line.
    pub(super) fn add(&mut self, line: &str) -> String {
        if let Some(time) = leading(line) {
            self.last = time;
        }
        format!("{} {line}", self.last)
    }
}

/// The time at the start of a line, formatted with nine digits.
fn leading(line: &str) -> Option<String> {
    clock::parse(line.split(' ').next()?).map(clock::rfc3339_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_a_time_has_that_of_the_previous_line() {
        let mut times = Timestamps::new(0);
        let start = "1970-01-01T00:00:00.000000000Z";
        assert_eq!(times.add("first"), format!("{start} first"));
        let line = "2026-11-24T05:38:07.123456Z  INFO ready";
        let time = "2026-11-24T05:38:07.123456000Z";
        assert_eq!(times.add(line), format!("{time} {line}"));
        assert_eq!(times.add("    at main.rs"), format!("{time}     at main.rs"));
        assert_eq!(times.add(""), format!("{time} "));
        assert_eq!(
            times.add("2026-11-24T05:38:08Z x"),
            "2026-11-24T05:38:08.000000000Z 2026-11-24T05:38:08Z x"
        );
    }

    #[test]
    fn a_line_that_begins_with_anything_else_has_no_time() {
        for text in [
            "Z",
            "2026Z",
            "2026-11-24T05:38:07 x",
            "2026-11-24T05:38:07.x1Z",
            "aaaa-11-24T05:38:07Z",
            "ü",
        ] {
            assert_eq!(leading(text), None, "{text}");
        }
    }
}
