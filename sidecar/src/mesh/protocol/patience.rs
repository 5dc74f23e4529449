//! How long to wait for an answer: longer where answers take long.
//!
//! Where all nodes of a busy machine ask each other, whoever hangs up and asks again makes it busier still.

use std::time::Duration;

/// What comes this many times later than usual does not come.
const FACTOR: u32 = 3;
/// Nobody is waited for longer than that.
const LONGEST: Duration = Duration::from_secs(4);

/// How long answers take lately.
#[derive(Debug, Default)]
pub(super) struct Patience {
    usual: Duration,
}

impl Patience {
    /// How long to wait where it would be so long on a machine that is not busy.
    pub(super) fn at_least(&self, time: Duration) -> Duration {
        time.max((self.usual * FACTOR).min(LONGEST))
    }

    /// Whether answers come as soon as one would wait for on a machine that is not busy.
    pub(super) fn is_usual(&self, time: Duration) -> bool {
        self.at_least(time) == time
    }

    /// An answer came after so long.
    pub(super) fn answered(&mut self, after: Duration) {
        self.usual = (self.usual * 7 + after) / 8;
    }

    /// None came for so long: the next are waited for twice as long, however many did not come meanwhile.
    pub(super) fn missed(&mut self, after: Duration) {
        self.usual = self.usual.max(after.min(LONGEST) * 2 / FACTOR);
    }
}
