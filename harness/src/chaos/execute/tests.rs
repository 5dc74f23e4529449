use std::cell::RefCell;
use std::collections::BTreeMap;

use super::*;
use crate::chaos::schedule::VERSION;
use crate::chaos::schedule::tests::{pause, step, stop};

/// Records each call with its time. Stops take `stop_takes`, all other calls no time.
struct Fake {
    start: Instant,
    done: RefCell<Vec<(u64, String)>>,
    stop_takes: Duration,
    fails: Option<&'static str>,
}

impl Fake {
    fn new(stop_takes: u64) -> Self {
        Self {
            start: Instant::now(),
            done: RefCell::default(),
            stop_takes: Duration::from_millis(stop_takes),
            fails: None,
        }
    }

    fn note(&self, what: String) -> Result<(), String> {
        let failed = self.fails == Some(&what);
        let at = self.start.elapsed().as_millis();
        self.done
            .borrow_mut()
            .push((u64::try_from(at).unwrap(), what.clone()));
        if failed { Err(what) } else { Ok(()) }
    }

    fn done(self) -> Vec<(u64, String)> {
        self.done.into_inner()
    }
}

impl Injector for Fake {
    type Error = String;

    async fn inject(&self, fault: &Fault) -> Result<(), String> {
        if fault.takes_ms() > 0 {
            tokio::time::sleep(self.stop_takes).await;
        }
        self.note(fault.to_string())
    }

    async fn heal(&self, fault: &Fault) -> Result<(), String> {
        self.note(format!("heal: {fault}"))
    }
}

fn schedule(steps: Vec<Step>) -> Schedule {
    Schedule {
        version: VERSION,
        seed: 0,
        duration_ms: 60_000,
        members: BTreeMap::from(["a", "b", "c"].map(|name| (name.to_owned(), None))),
        steps,
    }
}

fn at(list: &[(u64, &str)]) -> Vec<(u64, String)> {
    list.iter().map(|(at, what)| (*at, (*what).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn faults_of_different_members_overlap_and_heal_at_their_times() {
    let fake = Fake::new(2_000);
    let steps = vec![
        step(1_000, pause("a"), 3_000),
        step(1_500, stop("b"), 400),
        step(2_000, pause("c"), 100),
    ];
    let events = RefCell::new(Vec::new());
    let on_event = |at: Duration, moment, fault: &Fault| {
        events
            .borrow_mut()
            .push((at.as_millis(), moment, fault.to_string()));
    };
    let injected = execute(&fake, &schedule(steps), on_event).await.unwrap();
    assert_eq!(
        fake.done(),
        at(&[
            (1_000, "pause a"),
            (2_000, "pause c"),
            (2_100, "heal: pause c"),
            (3_500, "stop b"),
            (3_900, "heal: stop b"),
            (4_000, "heal: pause a"),
        ])
    );
    let spans: Vec<_> = injected
        .iter()
        .map(|fault| (fault.from.as_millis(), fault.until.as_millis()))
        .collect();
    assert_eq!(spans, [(1_000, 4_000), (1_500, 3_900), (2_000, 2_100)]);
    let of_b: Vec<_> = events
        .into_inner()
        .into_iter()
        .filter(|(.., fault)| fault == "stop b")
        .map(|(at, moment, _)| (at, moment))
        .collect();
    assert_eq!(
        of_b,
        [
            (1_500, FaultEvent::Injecting),
            (
                3_500,
                FaultEvent::Active {
                    after: Duration::from_millis(2_000)
                }
            ),
            (3_900, FaultEvent::Healed)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_step_waits_only_for_earlier_steps_of_its_members() {
    let fake = Fake::new(10_000);
    let pair = Fault::CutPair {
        a: "b".to_owned(),
        b: "a".to_owned(),
    };
    let steps = vec![
        step(0, stop("a"), 1_000),
        step(4_000, pair, 500),
        step(4_200, pause("c"), 100),
        step(5_000, pause("b"), 100),
    ];
    execute(&fake, &schedule(steps), |_, _, _| {}).await.unwrap();
    assert_eq!(
        fake.done(),
        at(&[
            (4_200, "pause c"),
            (4_300, "heal: pause c"),
            (5_000, "pause b"),
            (5_100, "heal: pause b"),
            (10_000, "stop a"),
            (11_000, "heal: stop a"),
            (11_000, "cut b and a off from each other"),
            (11_500, "heal: cut b and a off from each other"),
        ])
    );
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_cannot_be_healed_ends_the_execution() {
    let mut fake = Fake::new(0);
    fake.fails = Some("heal: pause a");
    let steps = vec![step(0, pause("a"), 100), step(500, pause("b"), 100)];
    let result = execute(&fake, &schedule(steps), |_, _, _| {}).await;
    assert_eq!(result, Err("heal: pause a".to_owned()));
    assert_eq!(fake.done(), at(&[(0, "pause a"), (100, "heal: pause a")]));
}

#[tokio::test(start_paused = true)]
async fn an_empty_schedule_ends_at_once() {
    let fake = Fake::new(0);
    assert_eq!(execute(&fake, &schedule(vec![]), |_, _, _| {}).await, Ok(vec![]));
    assert_eq!(fake.start.elapsed(), Duration::ZERO);
}
