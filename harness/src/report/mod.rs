//! What the user gets to see.

use std::ffi::OsStr;
use std::time::Duration;

mod json;
mod junit;
mod markdown;
mod outcome;
pub mod progress;
pub mod table;

pub use json::json;
pub use junit::junit;
pub use markdown::markdown;
pub use outcome::{Outcome, Report, Verdict, name_in_run};
pub use progress::Progress;

use crate::verify::objectives::Promise;

/// That of the promises so many were not measured, which a table leaves out.
fn left_out(count: usize) -> String {
    format!(
        "Not measured by these scenarios: {count} of {} promises.",
        Promise::ALL.len()
    )
}

/// Whether what is written there has colours: on a terminal, unless the variable NO_COLOR says that there be none.
#[must_use]
pub fn colored(terminal: bool) -> bool {
    colored_but(terminal, std::env::var_os("NO_COLOR").as_deref())
}

/// By the custom of <https://no-color.org>, a variable that is empty says nothing.
fn colored_but(terminal: bool, no_color: Option<&OsStr>) -> bool {
    terminal && no_color.is_none_or(OsStr::is_empty)
}

/// A time in seconds with as many digits as are of interest.
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
    fn there_are_colours_only_on_a_terminal_whose_user_has_not_forbidden_them() {
        assert!(colored_but(true, None));
        assert!(colored_but(true, Some(OsStr::new(""))));
        assert!(!colored_but(true, Some(OsStr::new("1"))));
        assert!(!colored_but(false, None));
    }
}
