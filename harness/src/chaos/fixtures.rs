//! Steps and faults for tests.

use super::{Fault, Step};

pub(super) fn step(at_ms: u64, fault: Fault, heal_after_ms: u64) -> Step {
    Step {
        at_ms,
        fault,
        heal_after_ms,
    }
}

pub(super) fn pause(member: &str) -> Fault {
    Fault::Pause {
        member: member.to_owned(),
    }
}

pub(super) fn stop(member: &str) -> Fault {
    Fault::Stop {
        member: member.to_owned(),
    }
}
