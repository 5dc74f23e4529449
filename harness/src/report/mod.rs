//! What the user gets to see.

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

use crate::promises::Promise;

/// That of the promises so many were not measured, which a table leaves out.
fn left_out(count: usize) -> String {
    format!(
        "Not measured by these scenarios: {count} of {} promises.",
        Promise::ALL.len()
    )
}

/// A time in seconds with as many digits as are of interest.
pub fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        format!("{:.2} s", time.as_secs_f64())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}
