//! Generates a random schedule. Pure: the random number generator is passed in.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::fault::{Fault, FaultKind};
use super::schedule::{Schedule, Step, VERSION};

/// Milliseconds of traffic before the first fault.
pub const LEAD_MS: u64 = 1_000;
/// Milliseconds between the starts of consecutive faults.
const GAP_MS: std::ops::RangeInclusive<u64> = 300..=2_500;
/// Milliseconds that a fault is active.
const ON_MS: std::ops::RangeInclusive<u64> = 500..=4_000;
/// Minimum milliseconds between two faults of the same member.
pub const REST_MS: u64 = 1_000;
/// Packet loss in percent.
const PERCENT: std::ops::RangeInclusive<u8> = 10..=60;
/// Delay of a slowed member in milliseconds.
const SLOW_MS: std::ops::RangeInclusive<u64> = 50..=400;
/// Attempts to find a valid fault for one point in time before it is left without one.
const TRIES: usize = 8;

/// The constraints of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleSpec {
    /// The members of the mesh, each with the service of which it is an instance.
    pub members: BTreeMap<String, Option<String>>,
    /// The kinds of faults that the engine supports.
    pub kinds: BTreeSet<FaultKind>,
    /// Milliseconds until every fault is healed.
    pub duration_ms: u64,
}

/// Generates a schedule with `rng`; `seed` is only recorded in it. A member has at most one fault at a time and then a
/// pause of [`REST_MS`], and at least one instance of some service stays available.
pub fn generate(seed: u64, rng: &mut StdRng, spec: &ScheduleSpec) -> Schedule {
    let mut schedule = Schedule {
        version: VERSION,
        seed,
        duration_ms: spec.duration_ms,
        members: spec.members.clone(),
        steps: Vec::new(),
    };
    let kinds: Vec<FaultKind> = spec.kinds.iter().copied().collect();
    let mut at_ms = LEAD_MS;
    while at_ms < spec.duration_ms {
        for _ in 0..TRIES {
            let Some(step) = step(rng, spec, &kinds, at_ms, &schedule.steps) else {
                continue;
            };
            schedule.steps.push(step);
            if schedule.violations_of(schedule.steps.len() - 1).is_empty() {
                break;
            }
            schedule.steps.pop();
        }
        at_ms += rng.random_range(GAP_MS);
    }
    schedule
}

/// A random fault at `at_ms` for members without a fault; `None` if there are too few of them or too little time.
fn step(
    rng: &mut StdRng,
    spec: &ScheduleSpec,
    kinds: &[FaultKind],
    at_ms: u64,
    before: &[Step],
) -> Option<Step> {
    let kind = *kinds.choose(rng)?;
    let idle = |member: &str| {
        let mut of_member = before
            .iter()
            .filter(|step| step.fault.members().contains(&member));
        of_member.all(|step| step.end_ms() + REST_MS <= at_ms)
    };
    let free: Vec<&String> = spec.members.keys().filter(|member| idle(member)).collect();
    let fault = fault(rng, kind, &free)?;
    let active_at = at_ms + fault.takes_ms();
    let longest = (*ON_MS.end()).min(spec.duration_ms.checked_sub(active_at)?);
    let heal_after_ms = match kind {
        FaultKind::Restart => 0,
        _ if longest < *ON_MS.start() => return None,
        _ => rng.random_range(*ON_MS.start()..=longest),
    };
    Some(Step {
        at_ms,
        fault,
        heal_after_ms,
    })
}

fn fault(rng: &mut StdRng, kind: FaultKind, free: &[&String]) -> Option<Fault> {
    if matches!(kind, FaultKind::CutPair | FaultKind::CutOneWay) {
        let [one, other] = free.sample(rng, 2).collect::<Vec<_>>()[..] else {
            return None;
        };
        let (one, other) = ((*one).clone(), (*other).clone());
        // The order of a sample is unspecified: choose the direction at random.
        let backwards: bool = rng.random();
        let (from, to) = if backwards { (other, one) } else { (one, other) };
        return Some(match kind {
            FaultKind::CutPair => Fault::CutPair { a: from, b: to },
            _ => Fault::CutOneWay { from, to },
        });
    }
    let member = (*free.choose(rng)?).clone();
    Some(match kind {
        FaultKind::Stop => Fault::Stop { member },
        FaultKind::Kill => Fault::Kill { member },
        FaultKind::Pause => Fault::Pause { member },
        FaultKind::CutNode => Fault::CutNode { member },
        FaultKind::Lose => Fault::Lose {
            member,
            percent: rng.random_range(PERCENT),
        },
        FaultKind::Slow => Fault::Slow {
            member,
            ms: rng.random_range(SLOW_MS),
        },
        FaultKind::Restart => Fault::Restart { member },
        FaultKind::CutPair | FaultKind::CutOneWay => return None,
    })
}

#[cfg(test)]
mod tests;
