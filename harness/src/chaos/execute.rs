//! Doing what a schedule says, at the times that it says, to whatever can be broken.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::fault::Fault;
use super::schedule::{Schedule, Step};

/// What faults are done to. Several may be begun, be on and be healed at the same time.
pub trait Target {
    /// Why a fault could not be begun or healed.
    type Error;

    /// Begins a fault; it is on when this returns.
    fn begin(&self, fault: &Fault) -> impl Future<Output = Result<(), Self::Error>>;

    /// Heals it: what was broken works again, or begins to.
    fn heal(&self, fault: &Fault) -> impl Future<Output = Result<(), Self::Error>>;
}

/// What happens to a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It is begun.
    Begun,
    /// It is on from now on.
    On {
        /// Time that it took since it was begun.
        after: Duration,
    },
    /// It is healed.
    Healed,
}

/// A fault that was on, in times since the schedule's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What was broken.
    pub fault: Fault,
    /// When it was begun.
    pub from: Duration,
    /// When it was healed.
    pub until: Duration,
}

/// Does all of `schedule` to `target`; `tell` hears what happens and when, counted from now. Where a step takes longer
/// than was thought, the next one of the same member waits for it, and no other does.
///
/// # Errors
/// The first fault that could not be begun or healed: those that are on then stay on.
pub async fn execute<T: Target>(
    target: &T,
    schedule: &Schedule,
    tell: impl Fn(Duration, Moment, &Fault),
) -> Result<Vec<Trouble>, T::Error> {
    let start = Instant::now();
    let members: BTreeMap<&str, Mutex<()>> = schedule
        .members
        .keys()
        .map(|name| (name.as_str(), Mutex::new(())))
        .collect();
    let tell = &tell;
    let one = async |step: &Step| {
        let Step {
            at_ms,
            fault,
            heal_after_ms,
        } = step;
        tokio::time::sleep_until(start + Duration::from_millis(*at_ms)).await;
        // All in the order of their names, so that no two steps wait for each other.
        let mut names = fault.members();
        names.sort_unstable();
        let busy = names.iter().filter_map(|name| members.get(name));
        let mut held = Vec::new();
        for member in busy {
            held.push(member.lock().await);
        }
        let from = start.elapsed();
        tell(from, Moment::Begun, fault);
        target.begin(fault).await?;
        let on = start.elapsed();
        tell(on, Moment::On { after: on - from }, fault);
        tokio::time::sleep(Duration::from_millis(*heal_after_ms)).await;
        target.heal(fault).await?;
        let until = start.elapsed();
        tell(until, Moment::Healed, fault);
        Ok(Trouble {
            fault: fault.clone(),
            from,
            until,
        })
    };
    try_join_all(schedule.steps.iter().map(one)).await
}

#[cfg(test)]
mod tests;
