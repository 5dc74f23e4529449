//! Which failed requests faults excuse: pure.

use std::fmt;
use std::time::Duration;

use super::execute::Trouble;
use crate::verify::traffic::{Fault as Span, Record};

/// Time from a fault's healing until no request may fail any more.
pub const PEACE: Duration = Duration::from_secs(3);

/// The requests of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// All that were sent.
    pub sent: usize,
    /// Those that failed and were under way while a fault was on.
    pub during: usize,
    /// Those that failed and were under way within [`PEACE`] of a fault, and not while one was on.
    pub soon_after: usize,
    /// All others that failed.
    pub in_peace: usize,
    /// The last of those, a line each.
    pub lines: Vec<String>,
    /// The routes on which nothing that was sent after the last fault was answered.
    pub silent: Vec<String>,
}

impl Ledger {
    /// Judges a record of traffic, on whose clock `troubles` are dated.
    pub fn new(record: &Record, troubles: &[Trouble]) -> Self {
        let spans = |after: Duration| -> Vec<Span> {
            let span = |trouble: &Trouble| Span {
                at: trouble.from,
                until: trouble.until + after,
            };
            troubles.iter().map(span).collect()
        };
        let during = record.judge(&spans(Duration::ZERO));
        let excused = record.judge(&spans(PEACE));
        let in_peace = excused.others.len();
        let soon_after = during.others.len() - in_peace;
        let healed = troubles.iter().map(|trouble| trouble.until).max();
        Self {
            sent: record.sent(),
            // The earliest failures may have been forgotten, and are counted all the same.
            during: record.failed().saturating_sub(in_peace + soon_after),
            soon_after,
            in_peace,
            lines: record.lines(&excused.others),
            silent: record.silent(healed.unwrap_or_default()),
        }
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sent,
            during,
            soon_after,
            in_peace,
            ..
        } = self;
        write!(
            f,
            "{sent} requests; failed: {during} while a fault was on, {soon_after} within {} s after, {in_peace} else",
            PEACE.as_secs()
        )
    }
}

#[cfg(test)]
mod tests;
