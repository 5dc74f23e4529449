//! Human-readable output: progress on standard error, plain tables, colours, durations.

use std::ffi::OsStr;
use std::time::Duration;

mod plain_notes;
pub mod progress;
pub mod stderr;
mod wrap;

pub use bench::table;
pub use progress::Progress;
pub use wrap::wrapped;

/// Whether to colour the output: only on a terminal, and only if NO_COLOR is unset or empty.
#[must_use]
pub fn colored(terminal: bool) -> bool {
    colored_with(terminal, std::env::var_os("NO_COLOR").as_deref())
}

/// Follows <https://no-color.org>: an empty variable counts as unset.
fn colored_with(terminal: bool, no_color: Option<&OsStr>) -> bool {
    terminal && no_color.is_none_or(OsStr::is_empty)
}

/// A duration in seconds, with two decimals below 10 s and one decimal from 10 s.
pub fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        format!("{:.2} s", time.as_secs_f64())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_coloured_only_on_a_terminal_without_no_color() {
        assert!(colored_with(true, None));
        assert!(colored_with(true, Some(OsStr::new(""))));
        assert!(!colored_with(true, Some(OsStr::new("1"))));
        assert!(!colored_with(false, None));
    }
}
