use super::*;

pub(in crate::chaos) fn step(at_ms: u64, fault: Fault, heal_after_ms: u64) -> Step {
    Step {
        at_ms,
        fault,
        heal_after_ms,
    }
}

pub(in crate::chaos) fn pause(member: &str) -> Fault {
    Fault::Pause {
        member: member.to_owned(),
    }
}

pub(in crate::chaos) fn stop(member: &str) -> Fault {
    Fault::Stop {
        member: member.to_owned(),
    }
}

fn schedule(steps: Vec<Step>) -> Schedule {
    Schedule {
        version: VERSION,
        seed: u64::MAX,
        duration_ms: 10_000,
        members: BTreeMap::from([
            ("lb".to_owned(), None),
            ("service-a".to_owned(), Some("a".to_owned())),
            ("service-b".to_owned(), Some("b".to_owned())),
        ]),
        steps,
    }
}

#[test]
fn the_file_has_the_documented_format() {
    let lose = Fault::Lose {
        member: "lb".to_owned(),
        percent: 30,
    };
    let file = schedule(vec![step(1000, pause("service-a"), 500), step(1200, lose, 700)]);
    let text = r#"{
  "version": 1,
  "seed": 18446744073709551615,
  "duration_ms": 10000,
  "members": {
    "lb": null,
    "service-a": "a",
    "service-b": "b"
  },
  "steps": [
    {
      "at_ms": 1000,
      "fault": {
        "pause": {
          "member": "service-a"
        }
      },
      "heal_after_ms": 500
    },
    {
      "at_ms": 1200,
      "fault": {
        "lose": {
          "member": "lb",
          "percent": 30
        }
      },
      "heal_after_ms": 700
    }
  ]
}
"#;
    assert_eq!(file.to_json(), text);
    assert_eq!(Schedule::from_json(text), Ok(file));
}

#[test]
fn every_kind_of_fault_survives_serialisation() {
    let (member, a, b) = ("lb".to_owned(), "lb".to_owned(), "service-a".to_owned());
    let all = [
        stop("lb"),
        Fault::Kill {
            member: member.clone(),
        },
        pause("lb"),
        Fault::CutNode {
            member: member.clone(),
        },
        Fault::CutPair {
            a: a.clone(),
            b: b.clone(),
        },
        Fault::CutOneWay { from: a, to: b },
        Fault::Lose {
            member: member.clone(),
            percent: 1,
        },
        Fault::Slow {
            member: member.clone(),
            ms: 50,
        },
        Fault::Restart { member },
    ];
    assert_eq!(all.each_ref().map(Fault::kind), FaultKind::ALL);
    for fault in all {
        let name = format!("\"{}\": {{", fault.kind());
        let file = schedule(vec![step(0, fault, 0)]);
        assert!(file.to_json().contains(&name), "{name}");
        assert_eq!(Schedule::from_json(&file.to_json()), Ok(file));
    }
}

#[test]
fn unknown_keys_and_versions_are_refused_by_name() {
    let good = schedule(vec![step(0, pause("lb"), 1)]).to_json();
    for (from, to, named) in [
        ("\"seed\"", "\"sead\"", "unknown field `sead`"),
        ("\"at_ms\"", "\"at\"", "unknown field `at`"),
        ("\"pause\"", "\"puase\"", "unknown variant `puase`"),
        (
            "\"member\": \"lb\"",
            "\"member\": \"lb\", \"ms\": 1",
            "unknown field `ms`",
        ),
        ("\"heal_after_ms\": 1", "\"heal_after_ms\": -1", "expected u64"),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        let error = Schedule::from_json(&text).unwrap_err();
        assert!(matches!(error, ScheduleError::Format(_)), "{error:?}");
        assert!(error.to_string().contains(named), "{error}");
        assert!(error.to_string().contains("line"), "{error}");
    }
    let newer = "{\"version\": 2, \"steps\": {}}";
    assert_eq!(
        Schedule::from_json(newer),
        Err(ScheduleError::Version { found: 2 })
    );
    assert!(
        Schedule::from_json("{}")
            .unwrap_err()
            .to_string()
            .contains("`version`")
    );
}

#[track_caller]
fn violates(steps: Vec<Step>, rule: &str) {
    let error = Schedule::from_json(&schedule(steps).to_json()).unwrap_err();
    assert_eq!(error, ScheduleError::Rules(vec![rule.to_owned()]));
}

#[test]
fn steps_that_cannot_be_executed_are_refused_by_number() {
    let twice = Fault::CutPair {
        a: "lb".to_owned(),
        b: "lb".to_owned(),
    };
    violates(vec![step(0, pause("lc"), 1)], "step 0: there is no member `lc`");
    violates(
        vec![step(0, twice, 1)],
        "step 0: expected two members, not `lb` twice",
    );
    for (percent, valid) in [(0, false), (1, true), (100, true), (101, false)] {
        let lose = Fault::Lose {
            member: "lb".to_owned(),
            percent,
        };
        let file = schedule(vec![step(0, lose, 1)]);
        assert_eq!(file.violations().is_empty(), valid, "{percent}");
    }
    let slow = Fault::Slow {
        member: "lb".to_owned(),
        ms: 10_001,
    };
    violates(vec![step(0, slow, 1)], "step 0: ms 10001: expected 1 to 10000");
    violates(
        vec![step(u64::MAX, pause("lb"), u64::MAX)],
        &format!(
            "step 0: it is healed at {} ms, after the end at 10000 ms",
            u64::MAX
        ),
    );
    violates(
        vec![step(8_000, stop("lb"), 0)],
        "step 0: it is healed at 11000 ms, after the end at 10000 ms",
    );
    violates(
        vec![step(2, pause("lb"), 1), step(1, pause("service-a"), 1)],
        "steps: expected in the order of their at_ms",
    );
}

#[test]
fn a_member_has_one_fault_at_a_time_and_one_instance_stays_available() {
    let pair = Fault::CutPair {
        a: "lb".to_owned(),
        b: "service-a".to_owned(),
    };
    violates(
        vec![step(0, pause("service-a"), 100), step(99, pair.clone(), 1)],
        "step 1: step 0 is still active for `service-a`",
    );
    let after = schedule(vec![step(0, pause("service-a"), 100), step(100, pair, 1)]);
    assert_eq!(after.violations(), [""; 0]);
    violates(
        vec![step(0, pause("service-a"), 100), step(99, stop("service-b"), 1)],
        "step 1: no instance of any service would be available",
    );
    let overlapping = schedule(vec![
        step(0, pause("service-a"), 100),
        step(50, stop("lb"), 1),
        step(100, stop("service-b"), 1),
    ]);
    assert_eq!(overlapping.violations(), [""; 0]);
    assert_eq!(overlapping.healed_ms(), 3_101);
}
