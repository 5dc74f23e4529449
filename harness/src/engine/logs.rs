//! What containers wrote: the ways to read it, which are the same on every engine.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use super::EngineError;

/// A line is cut after this many bytes, so that a program that never ends one cannot fill memory.
const MAX_LINE: usize = 64 * 1024;

/// One line of a container's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The text, without its end.
    pub text: String,
}

/// Lines as they are read.
pub(super) type LogStream = BoxStream<'static, Result<LogLine, EngineError>>;

/// Time in which the last lines are to be there.
const LAST_LINES_LIMIT: Duration = Duration::from_secs(5);

/// What of a container's output is read, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// How many of the last lines; all where none is given.
    pub(crate) tail: Option<usize>,
    /// Whether every later line is read too, until the container stops.
    pub(crate) follow: bool,
    /// Whether the time of its writing (RFC 3339, UTC, nine digits) and a space stand before each.
    pub(crate) dated: bool,
}

/// An engine whose containers' output can be read.
pub(crate) trait Logs: Sync {
    /// Reads a container's output.
    fn read_log(&self, id: &str, reading: Reading) -> LogStream;

    /// The last `tail` lines of a container's output (all where none is given), and with `follow` every later one until
    /// it stops.
    fn logs(&self, id: &str, tail: Option<usize>, follow: bool) -> LogStream {
        let dated = false;
        self.read_log(id, Reading { tail, follow, dated })
    }

    /// The same, each line after the time of its writing (RFC 3339, UTC, nine digits) and a space.
    fn dated_logs(&self, id: &str, tail: Option<usize>, follow: bool) -> LogStream {
        let dated = true;
        self.read_log(id, Reading { tail, follow, dated })
    }

    /// The last `count` lines of a container's output; what kept them from being read where that failed.
    fn last_lines(&self, id: &str, count: usize) -> impl Future<Output = Vec<String>> + Send {
        let lines = self.logs(id, Some(count), false).map(|line| match line {
            Ok(line) => line.text,
            Err(error) => error.to_string(),
        });
        async {
            let read = tokio::time::timeout(LAST_LINES_LIMIT, lines.collect()).await;
            read.unwrap_or_else(|_| vec![format!("the log was not to be had within {LAST_LINES_LIMIT:?}")])
        }
    }
}

/// What is read from an engine or a file are not lines: this makes them so.
#[derive(Debug, Default)]
pub(super) struct Lines {
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

    /// The last line, where it has no end.
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
    fn pieces_become_lines_wherever_they_are_cut() {
        let mut lines = Lines::default();
        let mut texts: Vec<String> = Vec::new();
        for piece in ["one\ntw", "o\r\n\n", "three"] {
            texts.extend(lines.push(piece.as_bytes()).into_iter().map(|line| line.text));
        }
        texts.extend(lines.finish().map(|line| line.text));
        assert_eq!(texts, ["one", "two", "three"]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let lines = Lines::default().push(&vec![b'x'; MAX_LINE + 1]);
        assert_eq!(
            lines.iter().map(|line| line.text.len()).collect::<Vec<_>>(),
            [MAX_LINE]
        );
    }
}
