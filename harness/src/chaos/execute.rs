//! Executes a schedule: injects and heals each fault at its time.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::fault::Fault;
use super::schedule::{Schedule, Step};

/// Injects faults. Several faults may be injected, active, and healed at the same time.
pub trait Injector {
    /// The reason that a fault could not be injected or healed.
    type Error;

    /// Injects a fault; it is active on return.
    fn inject(&self, fault: &Fault) -> impl Future<Output = Result<(), Self::Error>>;

    /// Heals a fault; recovery may still be in progress on return.
    fn heal(&self, fault: &Fault) -> impl Future<Output = Result<(), Self::Error>>;
}

/// The phases of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultEvent {
    /// The injection starts.
    Injecting,
    /// The fault is active.
    Active {
        /// Duration of the injection.
        after: Duration,
    },
    /// The fault is healed.
    Healed,
}

/// A fault that was injected, in time since the schedule's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectedFault {
    /// The fault.
    pub fault: Fault,
    /// Start of the injection.
    pub from: Duration,
    /// End of the healing.
    pub until: Duration,
}

/// Executes `schedule` with `injector`. Calls `on_event` with the time since the start. If a step takes longer than
/// planned, only the next steps of the same members wait for it.
///
/// # Errors
/// The first fault that could not be injected or healed; other active faults are not healed.
pub async fn execute<T: Injector>(
    injector: &T,
    schedule: &Schedule,
    on_event: impl Fn(Duration, FaultEvent, &Fault),
) -> Result<Vec<InjectedFault>, T::Error> {
    let start = Instant::now();
    let members: BTreeMap<&str, Mutex<()>> = schedule
        .members
        .keys()
        .map(|name| (name.as_str(), Mutex::new(())))
        .collect();
    let on_event = &on_event;
    let one = async |step: &Step| {
        let Step {
            at_ms,
            fault,
            heal_after_ms,
        } = step;
        tokio::time::sleep_until(start + Duration::from_millis(*at_ms)).await;
        // Locked in the order of their names, so that no two steps deadlock.
        let mut names = fault.members();
        names.sort_unstable();
        let busy = names.iter().filter_map(|name| members.get(name));
        let mut guards = Vec::new();
        for member in busy {
            guards.push(member.lock().await);
        }
        let from = start.elapsed();
        on_event(from, FaultEvent::Injecting, fault);
        injector.inject(fault).await?;
        let active = start.elapsed();
        on_event(active, FaultEvent::Active { after: active - from }, fault);
        tokio::time::sleep(Duration::from_millis(*heal_after_ms)).await;
        injector.heal(fault).await?;
        let until = start.elapsed();
        on_event(until, FaultEvent::Healed, fault);
        Ok(InjectedFault {
            fault: fault.clone(),
            from,
            until,
        })
    };
    try_join_all(schedule.steps.iter().map(one)).await
}

#[cfg(test)]
mod tests;
