//! Outlier ejection: takes an instance that answers with errors out of its group for a while.

use std::time::Duration;

use super::group::ServerGroup;

/// When an instance is ejected for its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutlierEjection {
    /// Consecutive answers with a 5xx status, or none because the instance ended the connection, before it is ejected.
    pub failures: u32,
    /// Time for which it is ejected.
    pub time: Duration,
}

impl ServerGroup {
    /// When its instances are ejected for their answers; `None` never.
    pub fn outlier_ejection(&self) -> Option<OutlierEjection> {
        self.state().outlier_ejection
    }

    /// Sets when its instances are ejected for their answers, from the next answer on.
    pub fn set_outlier_ejection(&self, ejection: Option<OutlierEjection>) {
        self.state().outlier_ejection = ejection;
    }
}
