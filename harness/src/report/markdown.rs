//! The report as Markdown for a CI run's summary page.

use std::fmt::Write as _;

use super::summary::Report;
use crate::console::seconds;
use crate::verify::suite::Verdict;

/// Renders a table of the scenarios, the failure messages, and a table of the objectives.
pub fn markdown(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = write!(
        text,
        "## Mesh on {}\n\n{}\n\n{} ({}), {}.\n\n| scenario | | took | |\n|---|---|---:|---|\n",
        cell(&report.runtime),
        report.sentence(),
        cell(&report.runtime),
        cell(&report.why),
        seconds(report.took),
    );
    for outcome in &report.scenarios {
        let note = match &outcome.verdict {
            Verdict::Held => &outcome.about,
            Verdict::Skipped { reason } => reason,
            Verdict::Failed { message } | Verdict::Error { message } => message,
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            cell(&report.name(outcome)),
            sign(&outcome.verdict),
            seconds(outcome.took),
            cell(note.lines().next().unwrap_or_default().trim()),
        );
    }
    for outcome in &report.scenarios {
        if let Verdict::Failed { message } | Verdict::Error { message } = &outcome.verdict {
            let fence = fence(message);
            let _ = write!(
                text,
                "\n<details><summary>{}</summary>\n\n{fence}text\n{message}\n{fence}\n\n</details>\n",
                escaped(&report.name(outcome))
            );
        }
    }
    text.push_str(
        "\n| objective | count | p50 | p99 | max | at most | |\n|---|---:|---:|---:|---:|---:|---|\n",
    );
    let (shown, left_out) = report.shown();
    for objective in shown {
        let limit = objective.limit_text();
        let name = cell(objective.name());
        let _ = match report.measured.summary(objective) {
            None => writeln!(text, "| {name} | 0 | | | | {limit} | not measured |"),
            Some(summary) => writeln!(
                text,
                "| {name} | {} | {} | {} | {} | {limit} | {} |",
                summary.count,
                objective.shown(summary.p50),
                objective.shown(summary.p99),
                objective.shown(summary.max),
                if summary.met() { "met" } else { "**missed**" },
            ),
        };
    }
    if left_out > 0 {
        let _ = writeln!(text, "\n{}", super::summary::not_measured(left_out));
    }
    let _ = writeln!(
        text,
        "\nFailed requests in flight on a killed or frozen instance: {}.\n\nLoad of the machine: {}.",
        report.measured.in_flight, report.load
    );
    text
}

fn sign(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "✔ held",
        Verdict::Failed { .. } => "✘ failed",
        Verdict::Skipped { .. } => "skipped",
        Verdict::Error { .. } => "⚠ broken",
    }
}

/// Escapes text for a table cell.
fn cell(text: &str) -> String {
    let visible: String = text.chars().filter(|c| !c.is_control()).collect();
    escaped(&visible).replace('|', "\\|")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A code fence longer than any in the text.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    "`".repeat((longest + 1).max(3))
}

#[cfg(test)]
mod tests {
    use super::super::summary::example;
    use super::*;

    #[test]
    fn the_page_has_both_tables_and_every_failure() {
        let expected = "\
## Mesh on process

2 of 3 failed: kill, rejoin, 1 skipped. Objectives missed: killed -> last error.

process (no Docker engine answers), 12.3 s.

| scenario | | took | |
|---|---|---:|---|
| paths | ✔ held | 0.25 s | paths works |
| kill | ✘ failed | 1.50 s | expected: a &lt; b &amp; \"c\" |
| partition | skipped | 0.00 s | needs Docker |
| rejoin | ⚠ broken | 0.03 s | the engine went away |

<details><summary>kill</summary>

```text
  expected: a < b & \"c\"
  seen:     |\u{1b}[31m]]>
```

</details>

<details><summary>rejoin</summary>

```text
the engine went away
```

</details>

| objective | count | p50 | p99 | max | at most | |
|---|---:|---:|---:|---:|---:|---|
| last start -&gt; all answer | 2 | 700 ms | 900 ms | 900 ms | 2 s | met |
| harness start -&gt; ready | 0 | | | | 6 s | not measured |
| new instance -&gt; answers | 0 | | | | 500 ms | not measured |
| new instance -&gt; share | 0 | | | | 1 s | not measured |
| failed: graceful stop | 1 | 0 | 0 | 0 | 0 | met |
| failed: rolling restart | 0 | | | | 0 | not measured |
| failed: scaling | 0 | | | | 0 | not measured |
| killed -&gt; last error | 1 | 501 ms | 501 ms | 501 ms | 500 ms | **missed** |
| frozen -&gt; last error | 0 | | | | 3 s | not measured |
| healed -&gt; views agree | 0 | | | | 3 s | not measured |
| restarted -&gt; answers | 0 | | | | 2 s | not measured |
| memory of idle sidecar | 0 | | | | 9 MiB | not measured |
| image size | 0 | | | | 10 MB | not measured |

Failed requests in flight on a killed or frozen instance: 3.

Load of the machine: 1.0 runnable threads per processor, 1.0 in the worst scenario;
the harness waited 50 % of its time for a processor.
";
        assert_eq!(markdown(&example()), expected);
    }

    #[test]
    fn a_filtered_run_shows_only_measured_objectives() {
        let mut report = example();
        report.filtered = true;
        let text = markdown(&report);
        assert!(!text.contains("| not measured |"), "{text}");
        assert!(text.contains("| met |\n"), "{text}");
        assert!(
            text.contains("\n\nNot measured by these scenarios: 10 of 13 objectives.\n\n"),
            "{text}"
        );
    }

    #[test]
    fn text_cannot_break_out_of_its_cell_or_code_block() {
        assert_eq!(cell("a|b\r<c>"), "a\\|b&lt;c&gt;");
        assert_eq!(fence("a ``` b"), "````");
        assert_eq!(fence(""), "```");
    }
}
