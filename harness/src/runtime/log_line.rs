//! Lines of a container's output.

/// A line is cut after this many bytes, so that a program that never ends one cannot fill memory.
const MAX_LINE: usize = 64 * 1024;

/// One line of a container's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The text, without its end.
    pub text: String,
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
