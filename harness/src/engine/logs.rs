//! What containers wrote, as lines.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use super::EngineError;

/// Bytes after which a line is cut, so that a program that never ends one cannot fill memory.
const MAX_LINE: usize = 64 * 1024;
/// Timeout for reading the last lines of a log.
const COLLECT_LIMIT: Duration = Duration::from_secs(5);

/// One line of a container's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The text, without its end.
    pub text: String,
}

pub(super) type LogStream = BoxStream<'static, Result<LogLine, EngineError>>;

/// Which lines of a log are read, and in what form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Only the last lines that are there already, this many; all if none.
    pub tail: Option<usize>,
    /// Whether later lines follow until the container stops.
    pub follow: bool,
    /// Whether each line begins with the time of its writing (RFC 3339, UTC, nine digits) and a space.
    pub timestamps: bool,
}

impl LogOptions {
    /// The last `count` lines.
    pub fn last(count: usize) -> Self {
        Self {
            tail: Some(count),
            ..Self::default()
        }
    }
}

/// The lines of a log that is not followed; if it cannot be read, the reason as a line.
pub(super) async fn collect(lines: LogStream) -> Vec<String> {
    let lines = lines.map(|line| match line {
        Ok(line) => line.text,
        Err(error) => error.to_string(),
    });
    let read = tokio::time::timeout(COLLECT_LIMIT, lines.collect()).await;
    read.unwrap_or_else(|_| vec![format!("the log was not to be had within {COLLECT_LIMIT:?}")])
}

/// Splits the bytes of a log into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The beginning of a line whose end has not been read.
    rest: Vec<u8>,
}

impl Lines {
    /// The lines that end in `bytes`.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<LogLine> {
        let mut lines = Vec::new();
        for &byte in bytes {
            if byte == b'\n' || self.rest.len() >= MAX_LINE {
                lines.extend(self.finish());
            }
            if byte != b'\n' {
                self.rest.push(byte);
            }
        }
        lines
    }

    /// The last line, if it lacks an end.
    pub(super) fn finish(&mut self) -> Option<LogLine> {
        let line = std::mem::take(&mut self.rest);
        let text = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
        (!text.is_empty()).then_some(LogLine { text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_lines_wherever_they_are_split() {
        let mut lines = Lines::default();
        let mut texts: Vec<String> = Vec::new();
        for piece in ["one\ntw", "o\r\n\n", "three"] {
            texts.extend(lines.push(piece.as_bytes()).into_iter().map(|line| line.text));
        }
        texts.extend(lines.finish().map(|line| line.text));
        assert_eq!(texts, ["one", "two", "three"]);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let lines = Lines::default().push(&vec![b'x'; MAX_LINE + 1]);
        assert_eq!(
            lines.iter().map(|line| line.text.len()).collect::<Vec<_>>(),
            [MAX_LINE]
        );
    }
}
