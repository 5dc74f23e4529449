//! What Cargo reports on its standard error while it compiles. Pure.

use std::collections::VecDeque;

/// Number of last lines kept for an error message.
const SHOWN_LINES: usize = 60;

/// Makes Cargo draw its progress bar, which has the number of units built, though its output is not a terminal.
pub(super) const PROGRESS: [(&str, &str); 2] = [
    ("CARGO_TERM_PROGRESS_WHEN", "always"),
    ("CARGO_TERM_PROGRESS_WIDTH", "100"),
];

/// The output of one build.
#[derive(Debug, Default)]
pub(super) struct CargoOutput {
    last: VecDeque<String>,
    /// Whether something was compiled.
    pub(super) compiled: bool,
}

impl CargoOutput {
    /// Adds one line, which ends with a line feed or, if it is a progress bar, with a carriage return. Returns what to
    /// show of it: the number of units, or what Cargo waits for.
    pub(super) fn line(&mut self, line: &str) -> Option<String> {
        let line = line.replace("\x1b[K", "");
        let progress = progress(&line);
        if progress.is_some() {
            return progress;
        }
        let text = line.trim().to_owned();
        let compiling = text.starts_with("Compiling ");
        self.compiled |= compiling;
        if self.last.len() == SHOWN_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line);
        // The next bar names it, with the number.
        (!compiling && !text.is_empty()).then_some(text)
    }

    /// The last lines, without the progress.
    pub(super) fn tail(self) -> String {
        Vec::from(self.last).join("\n")
    }
}

/// The progress in a bar such as `Building [===>   ] 12/90: serde, tokio`.
fn progress(line: &str) -> Option<String> {
    let (_, rest) = line.trim_start().strip_prefix("Building [")?.split_once("] ")?;
    let (counted, names) = rest.split_once(": ").unwrap_or((rest, ""));
    let (done, total) = counted.trim().split_once('/')?;
    let (done, total): (u32, u32) = (done.parse().ok()?, total.parse().ok()?);
    let names = names.trim();
    Some(if names.is_empty() {
        format!("{done} of {total} compiled")
    } else {
        format!("{done} of {total} compiled, now {names}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_progress_bar_becomes_the_number_of_units_and_no_other_line_does() {
        let mut output = CargoOutput::default();
        let bar = "    Building [=====>                     ] 12/90: serde, tokio(build)    ";
        let mut shown = |line: &str| output.line(line).unwrap_or_default();
        assert_eq!(shown(bar), "12 of 90 compiled, now serde, tokio(build)");
        assert_eq!(shown("\x1b[K    Building [=>  ] 1/90"), "1 of 90 compiled");
        assert!(!output.compiled, "a bar is drawn even if all is up to date");
        assert_eq!(
            output.line("   Compiling serde v1.0.0"),
            None,
            "the bar has its number"
        );
        assert!(output.compiled);
        let blocked = "    Blocking waiting for file lock on build directory";
        assert_eq!(output.line(blocked).as_deref(), Some(blocked.trim()));
        assert_eq!(output.tail(), format!("   Compiling serde v1.0.0\n{blocked}"));
    }
}
