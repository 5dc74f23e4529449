use std::time::Duration;

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::chaos::{Fault, FaultKind, ScheduleSpec, Step, generate};

const MANY: usize = 10_000;

fn limits(runs: usize) -> TrialBudget {
    TrialBudget {
        runs,
        until: Instant::now() + Duration::from_secs(3600),
    }
}

fn of_seed(seed: u64, duration_ms: u64) -> Schedule {
    let instance = |name: &str| (name.to_owned(), Some("a".to_owned()));
    let spec = ScheduleSpec {
        members: ["lb", "one", "two", "three", "four"].map(instance).into(),
        kinds: FaultKind::ALL.into(),
        duration_ms,
    };
    generate(seed, &mut StdRng::seed_from_u64(seed), &spec)
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(work)
}

fn faults(schedule: &Schedule) -> Vec<&Fault> {
    schedule.steps.iter().map(|step| &step.fault).collect()
}

/// Whether `part` is a subsequence of the steps of `whole`.
fn contains_in_order(whole: &Schedule, part: &[&Fault]) -> bool {
    let mut steps = whole.steps.iter();
    part.iter().all(|fault| steps.any(|step| step.fault == **fault))
}

proptest! {
    #[test]
    fn only_the_steps_that_matter_remain(seed: u64, first: prop::sample::Index, second: prop::sample::Index) {
        let schedule = of_seed(seed, 30_000);
        prop_assume!(schedule.steps.len() > 1);
        let (one, other) = (first.index(schedule.steps.len()), second.index(schedule.steps.len()));
        let matter: Vec<&Fault> = schedule
            .steps
            .iter()
            .enumerate()
            .filter(|(at, _)| *at == one || *at == other)
            .map(|(_, step)| &step.fault)
            .collect();
        let shrunk = block_on(shrink(&schedule, limits(MANY), async |some| Some(contains_in_order(some, &matter))));
        prop_assert_eq!(faults(&shrunk.schedule), matter);
        prop_assert_eq!(shrunk.ended, SearchEnd::Shortest);
        prop_assert_eq!(shrunk.schedule.violations(), [""; 0]);
        // At most the lead, two faults, and a pause.
        prop_assert!(shrunk.schedule.duration_ms <= 2 * (REST_MS + 3_000 + SHORTEST_MS), "{:?}", shrunk.schedule);
    }

    #[test]
    fn the_result_fails_and_is_not_longer_for_any_limit(seed: u64, runs in 0_usize..20, member in 0_usize..5) {
        let schedule = of_seed(seed, 40_000);
        let member = ["lb", "one", "two", "three", "four"][member];
        // Fails while the faults of one member are active for at least half of the original time.
        let on = |some: &Schedule| -> u64 {
            let of_member = some.steps.iter().filter(|step| step.fault.members().contains(&member));
            of_member.map(|step| step.heal_after_ms).sum()
        };
        let enough = on(&schedule) / 2;
        let (mut tried, mut seen) = (0, Vec::new());
        let shrunk = block_on(shrink(&schedule, limits(runs), async |some| {
            tried += 1;
            assert!(!seen.contains(some), "no candidate is tried twice");
            seen.push(some.clone());
            assert_eq!(some.violations(), [""; 0], "every candidate is valid");
            Some(on(some) >= enough)
        }));
        prop_assert!(on(&shrunk.schedule) >= enough);
        prop_assert!(shrunk.schedule.steps.len() <= schedule.steps.len());
        prop_assert!(shrunk.schedule.duration_ms <= schedule.duration_ms);
        prop_assert_eq!(shrunk.runs, tried);
        prop_assert!(tried <= runs);
        prop_assert!(shrunk.ended == SearchEnd::Runs || shrunk.ended == SearchEnd::Shortest);
    }

    #[test]
    fn compacting_removes_idle_time_and_keeps_overlaps(seed: u64) {
        let schedule = of_seed(seed, 30_000);
        let compact = compacted(&schedule);
        prop_assert_eq!(compact.violations(), [""; 0]);
        let together = |some: &Schedule| -> Vec<bool> {
            let pairs = some.steps.windows(2);
            pairs.map(|pair| pair[0].end_ms() > pair[1].at_ms).collect()
        };
        prop_assert_eq!(together(&compact), together(&schedule));
        prop_assert_eq!(compacted(&compact), compact);
    }
}

#[test]
fn a_schedule_that_always_fails_shrinks_to_no_steps() {
    let shrunk = block_on(shrink(&of_seed(3, 30_000), limits(MANY), async |_| Some(true)));
    assert_eq!(shrunk.schedule.steps, []);
    assert_eq!(shrunk.schedule.duration_ms, LEAD_MS);
}

#[test]
fn a_schedule_that_no_longer_fails_is_not_shrunk() {
    let schedule = of_seed(3, 30_000);
    let shrunk = block_on(shrink(&schedule, limits(MANY), async |_| Some(false)));
    assert_eq!((shrunk.schedule, shrunk.ended), (schedule, SearchEnd::Shortest));
}

#[tokio::test(start_paused = true)]
async fn no_trial_starts_after_the_deadline() {
    let started_at = Instant::now();
    let limits = TrialBudget {
        runs: MANY,
        until: started_at + Duration::from_secs(60),
    };
    let mut last = started_at;
    let shrunk = shrink(&of_seed(3, 30_000), limits, async |_| {
        last = Instant::now();
        tokio::time::sleep(Duration::from_secs(25)).await;
        Some(false)
    })
    .await;
    assert_eq!((shrunk.runs, shrunk.ended), (3, SearchEnd::Time));
    assert_eq!(last - started_at, Duration::from_secs(50));
}

#[test]
fn an_inconclusive_trial_ends_the_search_with_the_best_so_far() {
    let schedule = of_seed(3, 30_000);
    let mut tried = 0;
    let shrunk = block_on(shrink(&schedule, limits(MANY), async |_| {
        tried += 1;
        (tried == 1).then_some(true)
    }));
    assert_eq!((shrunk.runs, shrunk.ended), (2, SearchEnd::Inconclusive));
    let left: Vec<Step> = schedule.steps[schedule.steps.len().div_ceil(2)..].to_vec();
    assert_eq!(shrunk.schedule.steps, left);
}
