//! The claim that a peer leaves, as far as it has been decided. [`super::peer`] has the table of what follows which.

use std::time::Duration;

/// What is known of a claim that a peer leaves. Anybody can forge one, so the peer is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaveClaim {
    /// None has come lately.
    None,
    /// It is asked.
    Pending {
        /// When the claim came.
        since: Duration,
    },
    /// It was asked, and has not left. Claims change nothing until this time.
    Asked {
        /// When claims count again.
        until: Duration,
        /// Another claim has come: it is asked again then.
        again: bool,
    },
}

impl LeaveClaim {
    /// After one more claim.
    pub(super) fn claimed(self, now: Duration) -> Self {
        match self {
            Self::Pending { .. } => self,
            Self::Asked { until, .. } if now < until => Self::Asked { until, again: true },
            _ => Self::Pending { since: now },
        }
    }
}
