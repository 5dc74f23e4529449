//! The report as JUnit XML for CI servers.

use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestSuite};

use super::summary::Report;
use crate::clock;
use crate::verify::objectives::Objective;
use crate::verify::suite::Verdict;

/// Renders one test suite, named after the runtime: a test case for each scenario, one for the objectives, and one more
/// if the run was interrupted. The measured values are properties of the suite.
///
/// # Errors
/// The XML writer's message.
pub fn junit(report: &Report) -> Result<String, String> {
    let class = format!("mesh.{}", report.runtime);
    let mut suite = TestSuite::new(class.as_str());
    suite.set_time(report.took);
    suite.timestamp = clock::rfc3339(report.began).parse().ok();
    suite.add_property(Property::new("runtime", report.runtime.as_str()));
    suite.add_property(Property::new("runtime.why", report.why.as_str()));
    suite.add_property(Property::new("interrupted", report.interrupted.to_string()));
    for (name, value) in properties(report) {
        suite.add_property(Property::new(name, value));
    }
    for outcome in &report.scenarios {
        let mut case = TestCase::new(report.name(outcome), status(&outcome.verdict));
        case.set_classname(class.as_str()).set_time(outcome.took);
        suite.add_test_case(case);
    }
    suite.add_test_cases(objectives(report, &class));
    suite.add_test_cases(interruption(report, &class));
    let mut xml = quick_junit::Report::new("mesh");
    xml.set_time(report.took).add_test_suite(suite);
    let text = xml.to_string().map_err(|error| error.to_string())?;
    Ok(without_skipped_total(&text))
}

/// Removes the attribute `skipped` of `<testsuites>`, which Jenkins' schema (xUnit plugin, junit-10.xsd) has only for
/// `<testsuite>`.
fn without_skipped_total(xml: &str) -> String {
    const ATTRIBUTE: &str = " skipped=\"";
    let removed = || {
        let tag = xml.find("<testsuites")?;
        let from = tag + xml[tag..].find(ATTRIBUTE)?;
        let length = ATTRIBUTE.len() + xml[from + ATTRIBUTE.len()..].find('"')? + 1;
        xml[tag..from]
            .find('>')
            .is_none()
            .then(|| format!("{}{}", &xml[..from], &xml[from + length..]))
    };
    removed().unwrap_or_else(|| xml.to_owned())
}

fn status(verdict: &Verdict) -> TestCaseStatus {
    let mut status = match verdict {
        Verdict::Held => TestCaseStatus::success(),
        Verdict::Failed { .. } => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Error { .. } => TestCaseStatus::non_success(NonSuccessKind::Error),
        Verdict::Skipped { .. } => TestCaseStatus::skipped(),
    };
    match verdict {
        Verdict::Held => {}
        Verdict::Skipped { reason } => {
            status.set_message(reason);
        }
        Verdict::Failed { message } | Verdict::Error { message } => {
            // The attribute is a headline; the description has the whole message.
            status
                .set_message(message.lines().next().unwrap_or_default().trim())
                .set_description(message);
        }
    }
    status
}

/// The measured values, each in its objective's unit.
fn properties(report: &Report) -> Vec<(String, String)> {
    let mut properties = Vec::new();
    for summary in report.measured.summaries() {
        let objective = summary.objective;
        let mut add = |what: &str, value: String| {
            properties.push((format!("objective.{}.{what}", objective.key()), value));
        };
        add("unit", objective.unit().to_string());
        add("count", summary.count.to_string());
        add("p50", summary.p50.0.to_string());
        add("p99", summary.p99.0.to_string());
        add("max", summary.max.0.to_string());
        add("limit", objective.limit().0.to_string());
        add("met", summary.met().to_string());
    }
    let load = &report.load;
    let figures = [
        ("load.mean", load.per_processor()),
        ("load.worst", load.worst()),
        ("load.waited", load.waited()),
    ];
    for (name, figure) in figures {
        properties.extend(figure.map(|figure| (name.to_owned(), format!("{figure:.2}"))));
    }
    properties.push(("load.overloaded".to_owned(), load.was_overloaded().to_string()));
    properties.push((
        "failed.in_flight".to_owned(),
        report.measured.in_flight.to_string(),
    ));
    properties
}

/// The test case that fails if an objective was missed; `None` if nothing was measured. It has an error if an overloaded
/// machine explains what was missed, and is skipped if missed objectives are informative.
fn objectives(report: &Report, class: &str) -> Option<TestCase> {
    if report.measured.summaries().is_empty() {
        return None;
    }
    let missed: Vec<String> = report
        .measured
        .missed()
        .iter()
        .map(|summary| {
            let shown = |value| Objective::shown(summary.objective, value);
            let (max, limit) = (shown(summary.max), shown(summary.objective.limit()));
            format!("{}: {max}, limit {limit}", summary.objective.name())
        })
        .collect();
    let message = missed.join("\n");
    let verdict = match report.failing() {
        _ if missed.is_empty() => Verdict::Held,
        (_, failing) if !failing.is_empty() => Verdict::Failed { message },
        (explained, _) if !explained.is_empty() => Verdict::Error {
            message: format!("{message}\nThe machine was overloaded: {}.", report.load),
        },
        _ => Verdict::Skipped {
            reason: format!("informative: {message}"),
        },
    };
    let mut case = TestCase::new("objectives", status(&verdict));
    case.set_classname(class);
    Some(case)
}

/// An interrupted suite reports an error: its remaining scenarios are skipped, and skips alone look like success.
fn interruption(report: &Report, class: &str) -> Option<TestCase> {
    let message = "the suite was interrupted".to_owned();
    let interrupted = || TestCase::new("interrupted", status(&Verdict::Error { message }));
    let mut case = report.interrupted.then(interrupted)?;
    case.set_classname(class);
    Some(case)
}

#[cfg(test)]
mod tests {
    use super::super::summary::{Objectives, example};
    use super::*;

    #[test]
    fn the_xml_parses_back_to_the_same_results() {
        let xml = junit(&example()).unwrap();
        let read = quick_junit::Report::deserialize_from_str(&xml).unwrap();
        assert_eq!(
            (
                read.tests,
                read.failures,
                read.errors,
                read.test_suites[0].skipped
            ),
            (5, 2, 1, 1)
        );
        let suite = &read.test_suites[0];
        assert_eq!(suite.name.as_str(), "mesh.process");
        let times: Vec<(&str, u128)> = suite
            .test_cases
            .iter()
            .map(|case| (case.name.as_str(), case.time.unwrap_or_default().as_millis()))
            .collect();
        assert_eq!(
            times,
            [
                ("paths", 250),
                ("kill", 1500),
                ("partition", 0),
                ("rejoin", 30),
                ("objectives", 0)
            ]
        );
        assert_eq!(suite.test_cases[0].status, TestCaseStatus::success());
        let TestCaseStatus::NonSuccess {
            kind,
            message,
            description,
            ..
        } = &suite.test_cases[1].status
        else {
            panic!("{:?}", suite.test_cases[1]);
        };
        assert_eq!(*kind, NonSuccessKind::Failure);
        assert_eq!(message.as_deref(), Some("expected: a < b & \"c\""));
        assert!(
            description.as_deref().unwrap().contains("seen:     |]]>"),
            "{description:?}"
        );
        let TestCaseStatus::Skipped { message, .. } = &suite.test_cases[2].status else {
            panic!("{:?}", suite.test_cases[2]);
        };
        assert_eq!(message.as_deref(), Some("needs Docker"));
        let TestCaseStatus::NonSuccess { kind, .. } = &suite.test_cases[3].status else {
            panic!("{:?}", suite.test_cases[3]);
        };
        assert_eq!(*kind, NonSuccessKind::Error);
        let TestCaseStatus::NonSuccess { message, .. } = &suite.test_cases[4].status else {
            panic!("{:?}", suite.test_cases[4]);
        };
        assert_eq!(
            message.as_deref(),
            Some("killed -> last error: 501 ms, limit 500 ms")
        );
    }

    #[test]
    fn missed_objectives_are_an_error_of_an_overloaded_machine_or_informative() {
        let of = |report: &Report| {
            let xml = junit(report).unwrap();
            let read = quick_junit::Report::deserialize_from_str(&xml).unwrap();
            let cases = &read.test_suites[0].test_cases;
            cases.last().unwrap().status.clone()
        };
        let mut report = example();
        report.measured.mark_overloaded();
        report.load = crate::verify::load::example(20);
        let overloaded = of(&report);
        let TestCaseStatus::NonSuccess {
            kind, description, ..
        } = &overloaded
        else {
            panic!("{overloaded:?}");
        };
        assert_eq!(*kind, NonSuccessKind::Error);
        let text = description.as_deref().unwrap();
        assert!(
            text.contains("The machine was overloaded: 20.0 runnable threads"),
            "{text}"
        );
        report.objectives = Objectives::Informative;
        let informative = of(&report);
        assert!(
            matches!(informative, TestCaseStatus::Skipped { .. }),
            "{informative:?}"
        );
    }

    #[test]
    fn an_interrupted_suite_has_an_error() {
        let mut report = example();
        report.interrupted = true;
        report.scenarios.truncate(1);
        let xml = junit(&report).unwrap();
        let read = quick_junit::Report::deserialize_from_str(&xml).unwrap();
        assert_eq!((read.tests, read.errors), (3, 1));
        let cases = &read.test_suites[0].test_cases;
        assert_eq!(cases.last().unwrap().name.as_str(), "interrupted");
    }

    #[test]
    fn objectives_are_properties_of_the_suite() {
        let xml = junit(&example()).unwrap();
        let read = quick_junit::Report::deserialize_from_str(&xml).unwrap();
        let value = |name: &str| {
            let mut all = read.test_suites[0].properties.iter();
            all.find(|property| property.name.as_str() == name)
                .map(|property| property.value.as_str())
        };
        assert_eq!(value("objective.ready.count"), Some("2"));
        assert_eq!(value("objective.ready.p50"), Some("700000"));
        assert_eq!(value("objective.ready.max"), Some("900000"));
        assert_eq!(value("objective.ready.unit"), Some("us"));
        assert_eq!(value("objective.kill_to_last_error.met"), Some("false"));
        assert_eq!(value("objective.failed_on_stop.met"), Some("true"));
        assert_eq!(value("objective.join.met"), None, "it was not measured");
        assert_eq!(value("failed.in_flight"), Some("3"));
        assert_eq!(value("interrupted"), Some("false"));
        assert_eq!(value("runtime.why"), Some("no Docker engine answers"));
        assert_eq!(
            read.test_suites[0].timestamp.unwrap().to_rfc3339(),
            "2026-11-24T05:38:07+00:00"
        );
    }

    /// The rules of Jenkins' schema for the elements that the report has: parent, required and optional attributes.
    const SCHEMA: [(&str, &str, &[&str], &[&str]); 8] = [
        (
            "testsuites",
            "",
            &[],
            &["name", "time", "tests", "failures", "errors"],
        ),
        (
            "testsuite",
            "testsuites",
            &["name", "tests", "failures", "errors"],
            &[
                "group",
                "time",
                "skipped",
                "timestamp",
                "hostname",
                "id",
                "package",
                "file",
                "log",
                "url",
            ],
        ),
        ("properties", "testsuite", &[], &[]),
        ("property", "properties", &["name", "value"], &[]),
        (
            "testcase",
            "testsuite",
            &["name"],
            &["time", "classname", "group"],
        ),
        ("failure", "testcase", &[], &["type", "message"]),
        ("error", "testcase", &[], &["type", "message"]),
        ("skipped", "testcase", &[], &["type", "message"]),
    ];

    #[test]
    fn the_xml_conforms_to_jenkins_schema() {
        use quick_xml::events::Event;
        let mut report = example();
        report.interrupted = true;
        let xml = junit(&report).unwrap();
        let mut reader = quick_xml::Reader::from_str(&xml);
        let (mut parents, mut seen) = (vec![String::new()], std::collections::BTreeSet::new());
        loop {
            let event = reader.read_event().unwrap();
            let (Event::Start(start) | Event::Empty(start)) = &event else {
                match event {
                    Event::Eof => break,
                    Event::End(_) => drop(parents.pop()),
                    _ => {}
                }
                continue;
            };
            let name = String::from_utf8(start.name().as_ref().to_vec()).unwrap();
            let parent = parents.last().unwrap();
            let rule = SCHEMA.iter().find(|rule| rule.0 == name && rule.1 == parent);
            let (_, _, required, optional) = rule.unwrap_or_else(|| panic!("<{name}> in <{parent}>\n{xml}"));
            let attributes = start.attributes().map(|attribute| {
                let attribute = attribute.unwrap();
                (
                    String::from_utf8(attribute.key.as_ref().to_vec()).unwrap(),
                    String::from_utf8(attribute.value.to_vec()).unwrap(),
                )
            });
            let attributes: std::collections::BTreeMap<String, String> = attributes.collect();
            for (key, value) in &attributes {
                let known = required.contains(&key.as_str()) || optional.contains(&key.as_str());
                assert!(known, "{key} of <{name}>\n{xml}");
                let number = value.chars().all(|c| c.is_ascii_digit() || c == '.');
                assert!(key != "time" || number, "time of <{name}>: {value}");
            }
            let missing = required.iter().find(|key| !attributes.contains_key(**key));
            assert_eq!(missing, None, "<{name}>\n{xml}");
            seen.insert(name.clone());
            if matches!(event, Event::Start(_)) {
                parents.push(name);
            }
        }
        let expected = SCHEMA.iter().map(|rule| rule.0.to_owned()).collect();
        assert_eq!(seen, expected, "the example has every element\n{xml}");
    }
}
