//! Log lines of containers.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use super::EngineError;

/// Maximum length of a line in bytes; the rest starts a new line. Bounds the memory for output without line breaks.
const MAX_LINE: usize = 64 * 1024;
/// Timeout for reading the last lines of a log.
const COLLECT_LIMIT: Duration = Duration::from_secs(5);

/// One line of a container's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The text, without the line break.
    pub text: String,
}

pub(super) type LogStream = BoxStream<'static, Result<LogLine, EngineError>>;

/// Options for reading a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Number of existing lines to read, counted from the end of the log; `None` reads all.
    pub tail: Option<usize>,
    /// Whether to continue with new lines until the container stops.
    pub follow: bool,
    /// Whether each line is preceded by the time at which it was written (RFC 3339, UTC, nine digits) and a space.
    pub timestamps: bool,
}

impl LogOptions {
    /// Options for the last `count` lines.
    pub fn last(count: usize) -> Self {
        Self {
            tail: Some(count),
            ..Self::default()
        }
    }
}

/// The lines of a log that is not followed. If it cannot be read, the reason is the only line.
pub(super) async fn collect(lines: LogStream) -> Vec<String> {
    let lines = lines.map(|line| match line {
        Ok(line) => line.text,
        Err(error) => error.to_string(),
    });
    let read = tokio::time::timeout(COLLECT_LIMIT, lines.collect()).await;
    read.unwrap_or_else(|_| vec![format!("the log could not be read within {COLLECT_LIMIT:?}")])
}

/// Splits the bytes of a log into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The start of an incomplete line.
    rest: Vec<u8>,
}

impl Lines {
    /// Adds `bytes` and returns the lines that are now complete.
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

    /// The last line, if it has no line break.
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
    fn lines_do_not_depend_on_how_the_bytes_are_split() {
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
