//! Counts the failed requests by whether a fault excuses them. Pure.

use std::fmt;
use std::time::Duration;

use super::execute::InjectedFault;
use crate::verify::traffic::{FaultWindow, TrafficRecord};

/// Time after a fault's healing in which requests may still fail.
pub const RECOVERY_GRACE: Duration = Duration::from_secs(3);

/// The requests of one experiment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailureCount {
    /// All requests.
    pub sent: usize,
    /// Failed requests in flight during a fault.
    pub during_fault: usize,
    /// Failed requests in flight within [`RECOVERY_GRACE`] after a fault, and not during one.
    pub during_recovery: usize,
    /// All other failed requests.
    pub unexcused: usize,
    /// The last unexcused failures, one line each.
    pub lines: Vec<String>,
    /// Routes on which no request sent after the last fault was answered.
    pub unanswered: Vec<String>,
}

impl FailureCount {
    /// Classifies the failures of a record. The times of `injected` are on the record's clock.
    pub fn new(record: &TrafficRecord, injected: &[InjectedFault]) -> Self {
        let spans = |after: Duration| -> Vec<FaultWindow> {
            let span = |fault: &InjectedFault| FaultWindow {
                from: fault.from,
                until: fault.until + after,
            };
            injected.iter().map(span).collect()
        };
        let during = record.classify(&spans(Duration::ZERO));
        let excused = record.classify(&spans(RECOVERY_GRACE));
        let unexcused = excused.others.len();
        let during_recovery = during.others.len() - unexcused;
        let healed = injected.iter().map(|fault| fault.until).max();
        Self {
            sent: record.sent(),
            // The record may have dropped the earliest failures, but it counts all of them.
            during_fault: record.failed().saturating_sub(unexcused + during_recovery),
            during_recovery,
            unexcused,
            lines: record.lines(&excused.others),
            unanswered: record.unanswered(healed.unwrap_or_default(), |_| true),
        }
    }
}

impl fmt::Display for FailureCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sent,
            during_fault,
            during_recovery,
            unexcused,
            ..
        } = self;
        write!(
            f,
            "{sent} requests; failed: {during_fault} during a fault, {during_recovery} within {} s after one, {unexcused} at other times",
            RECOVERY_GRACE.as_secs()
        )
    }
}

#[cfg(test)]
mod tests;
