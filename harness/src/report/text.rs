//! The objectives table for the terminal.

use super::summary::Report;
use crate::console::table;

/// A table of the measured values and their limits, and the number of objectives that were not measured.
pub fn objectives(report: &Report) -> String {
    let measured = &report.measured;
    let (shown, left_out) = report.shown();
    if shown.is_empty() {
        return super::summary::not_measured(left_out);
    }
    let rows = shown.iter().map(|&objective| {
        let limit = objective.limit_text();
        let name = objective.name().to_owned();
        let Some(summary) = measured.summary(objective) else {
            let nothing = || "-".to_owned();
            return vec![
                name,
                "0".to_owned(),
                nothing(),
                nothing(),
                nothing(),
                limit,
                nothing(),
            ];
        };
        let shown = |value| objective.shown(value);
        vec![
            name,
            summary.count.to_string(),
            shown(summary.p50),
            shown(summary.p99),
            shown(summary.max),
            limit,
            if summary.met() { "met" } else { "MISSED" }.to_owned(),
        ]
    });
    let table = table::plain(&["OBJECTIVE", "N", "P50", "P99", "MAX", "AT MOST", ""], rows);
    let left_out = match left_out {
        0 => String::new(),
        left_out => format!("\n{}", super::summary::not_measured(left_out)),
    };
    let references: Vec<String> = shown
        .iter()
        .filter_map(|objective| Some(format!("{} {}", objective.name(), objective.reference()?)))
        .collect();
    let references = match references.as_slice() {
        [] => String::new(),
        references => format!("\nvproxy's own example: {}.", references.join(", ")),
    };
    format!(
        "{table}{left_out}{references}\nFailed requests in flight on a killed or frozen instance: {}.\n\
         Load of the machine: {}.",
        measured.in_flight, report.load
    )
}

#[cfg(test)]
mod tests {
    use super::super::summary::example;
    use super::*;
    use crate::verify::objectives::{Measurements, Objective};

    #[test]
    fn an_objective_is_met_missed_or_not_measured() {
        let mut measured = Measurements::default();
        measured.in_flight = 2;
        measured.add(Objective::Ready, std::time::Duration::from_millis(900));
        measured.add(Objective::FailedOnStop, 1_usize);
        let mut report = example();
        report.measured = measured;
        let text = objectives(&report);
        let words = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line[name.len()..]
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(words(Objective::Ready.name()), "1 900 ms 900 ms 900 ms 2 s met");
        assert_eq!(words(Objective::FailedOnStop.name()), "1 1 1 1 0 MISSED");
        assert_eq!(words(Objective::Join.name()), "0 - - - 500 ms -");
        assert!(text.contains(
            "\nvproxy's own example: last start -> all answer 11.6 s, memory of idle sidecar 66 to 76"
        ));
        assert!(
            text.contains("frozen instance: 2.\nLoad of the machine: 1.0 runnable threads"),
            "{text}"
        );
        let table = text.lines().take_while(|line| !line.starts_with("vproxy"));
        let wide: Vec<_> = table.filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{wide:#?}");
        report.filtered = true;
        let text = objectives(&report);
        assert!(
            text.contains(Objective::Ready.name()) && !text.contains(Objective::Join.name()),
            "{text}"
        );
        assert!(
            text.contains("\nNot measured by these scenarios: 11 of 13 objectives.\n"),
            "{text}"
        );
        report.measured = Measurements::default();
        assert_eq!(
            objectives(&report),
            "Not measured by these scenarios: 13 of 13 objectives."
        );
    }
}
