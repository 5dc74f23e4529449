//! A schedule from chance: pure, with the randomness handed in.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::fault::{Fault, Kind};
use super::schedule::{Schedule, Step, VERSION};

/// Milliseconds of traffic before the first fault.
pub const LEAD_MS: u64 = 1_000;
/// Milliseconds from one fault's beginning to the next one's.
const GAP_MS: std::ops::RangeInclusive<u64> = 300..=2_500;
/// Milliseconds that a fault is on.
const ON_MS: std::ops::RangeInclusive<u64> = 500..=4_000;
/// Milliseconds that a member is left alone between two faults.
pub const REST_MS: u64 = 1_000;
/// Percents of loss.
const PERCENT: std::ops::RangeInclusive<u8> = 10..=60;
/// Milliseconds of delay.
const SLOW_MS: std::ops::RangeInclusive<u64> = 50..=400;
/// Faults that are thought of before one moment goes by without any.
const TRIES: usize = 8;

/// What a schedule is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The members of the mesh, each with the service that it offers an instance of.
    pub members: BTreeMap<String, Option<String>>,
    /// The faults that can be done to them.
    pub kinds: BTreeSet<Kind>,
    /// Milliseconds within which every fault is healed.
    pub duration_ms: u64,
}

/// A schedule for `plan`: `rng` decides, and `seed`, which it was made from, is only noted. A member has one fault at a
/// time and then a rest, and an instance of some service is always left.
pub fn generate(seed: u64, rng: &mut StdRng, plan: &Plan) -> Schedule {
    let mut schedule = Schedule {
        version: VERSION,
        seed,
        duration_ms: plan.duration_ms,
        members: plan.members.clone(),
        steps: Vec::new(),
    };
    let kinds: Vec<Kind> = plan.kinds.iter().copied().collect();
    let mut at_ms = LEAD_MS;
    while at_ms < plan.duration_ms {
        for _ in 0..TRIES {
            let Some(step) = step(rng, plan, &kinds, at_ms, &schedule.steps) else {
                continue;
            };
            schedule.steps.push(step);
            if schedule.broken_by(schedule.steps.len() - 1).is_empty() {
                break;
            }
            schedule.steps.pop();
        }
        at_ms += rng.random_range(GAP_MS);
    }
    schedule
}

/// Some fault for members that are not busy at `at_ms`; none where there are too few of them or too little time.
fn step(rng: &mut StdRng, plan: &Plan, kinds: &[Kind], at_ms: u64, before: &[Step]) -> Option<Step> {
    let kind = *kinds.choose(rng)?;
    let rests = |member: &str| {
        let mut of_member = before
            .iter()
            .filter(|step| step.fault.members().contains(&member));
        of_member.all(|step| step.end_ms() + REST_MS <= at_ms)
    };
    let free: Vec<&String> = plan.members.keys().filter(|member| rests(member)).collect();
    let fault = fault(rng, kind, &free)?;
    let begun = at_ms + fault.takes_ms();
    let longest = (*ON_MS.end()).min(plan.duration_ms.checked_sub(begun)?);
    let heal_after_ms = match kind {
        Kind::Restart => 0,
        _ if longest < *ON_MS.start() => return None,
        _ => rng.random_range(*ON_MS.start()..=longest),
    };
    Some(Step {
        at_ms,
        fault,
        heal_after_ms,
    })
}

fn fault(rng: &mut StdRng, kind: Kind, free: &[&String]) -> Option<Fault> {
    if matches!(kind, Kind::CutPair | Kind::CutOneWay) {
        let [one, other] = free.sample(rng, 2).collect::<Vec<_>>()[..] else {
            return None;
        };
        let (one, other) = ((*one).clone(), (*other).clone());
        // A sample is in no certain order, and neither is a pair.
        let backwards: bool = rng.random();
        let (from, to) = if backwards { (other, one) } else { (one, other) };
        return Some(match kind {
            Kind::CutPair => Fault::CutPair { a: from, b: to },
            _ => Fault::CutOneWay { from, to },
        });
    }
    let member = (*free.choose(rng)?).clone();
    Some(match kind {
        Kind::Stop => Fault::Stop { member },
        Kind::Kill => Fault::Kill { member },
        Kind::Pause => Fault::Pause { member },
        Kind::CutNode => Fault::CutNode { member },
        Kind::Lose => Fault::Lose {
            member,
            percent: rng.random_range(PERCENT),
        },
        Kind::Slow => Fault::Slow {
            member,
            ms: rng.random_range(SLOW_MS),
        },
        Kind::Restart => Fault::Restart { member },
        Kind::CutPair | Kind::CutOneWay => return None,
    })
}

#[cfg(test)]
mod tests;
