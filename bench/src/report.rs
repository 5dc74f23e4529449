//! Formats results as text, Markdown and JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::results::{Results, Section, Unit};
use crate::table;

/// Version of the JSON document. Increased when a key is removed or changes its meaning, not for new keys.
const VERSION: u32 = 1;

impl Results {
    /// Tables as plain text.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.setting);
        // Writing to a String does not fail.
        for (name, version) in &self.programs {
            let _ = writeln!(text, "  {name}: {version}");
        }
        for section in &self.sections {
            let (header, rows) = cells(section);
            let header: Vec<&str> = header.iter().map(String::as_str).collect();
            let _ = write!(
                text,
                "\n{}\n{}\n",
                section.title,
                table::plain(&header, rows.into_iter())
            );
            for (name, failure) in failures(section) {
                let _ = writeln!(text, "{name} failed at first with: {failure}");
            }
        }
        text
    }

    /// The same tables in Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("{}\n\n", cell(&self.setting));
        for (name, version) in &self.programs {
            let _ = writeln!(text, "- {name}: {}", cell(version));
        }
        for section in &self.sections {
            let (header, rows) = cells(section);
            let _ = writeln!(
                text,
                "\n**{}**\n\n| {} |",
                cell(&section.title),
                header.join(" | ").to_lowercase()
            );
            let _ = writeln!(text, "|---|{}", "---:|".repeat(header.len() - 1));
            for row in rows {
                let row: Vec<String> = row.iter().map(|text| cell(text)).collect();
                let _ = writeln!(text, "| {} |", row.join(" | "));
            }
            for (name, failure) in failures(section) {
                let _ = writeln!(text, "\n{name} failed at first with: {}", cell(failure));
            }
        }
        text
    }

    /// A JSON document with the values of every round.
    pub fn json(&self) -> String {
        let programs: Vec<Value> = self
            .programs
            .iter()
            .map(|(name, version)| json!({"name": name, "version": version}))
            .collect();
        let sections: Vec<Value> = self.sections.iter().map(section_json).collect();
        let document = json!({
            "version": VERSION,
            "began": rfc3339(self.began),
            "setting": self.setting,
            "programs": programs,
            "missing": self.missing,
            "sections": sections,
        });
        format!("{document:#}\n")
    }
}

/// RFC 3339 in UTC, to milliseconds.
fn rfc3339(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn section_json(section: &Section) -> Value {
    let rows: Vec<Value> = (0..section.rows.len())
        .map(|row| row_json(section, row))
        .collect();
    json!({"name": section.key, "title": section.title, "rows": rows})
}

fn row_json(section: &Section, row_index: usize) -> Value {
    let (mut values, mut samples, mut comparisons) = (Map::new(), Map::new(), Map::new());
    let row = &section.rows[row_index];
    for (index, metric) in section.metrics.iter().enumerate() {
        values.insert(metric.key.to_owned(), json!(section.value(row_index, index)));
        samples.insert(metric.key.to_owned(), json!(row.samples(index)));
        if let Some(found) = section.comparison(row_index, index) {
            let comparison = json!({"best": found.best, "ratio": found.ratio});
            comparisons.insert(metric.key.to_owned(), comparison);
        }
    }
    json!({
        "name": row.name,
        "values": values,
        "rounds": samples,
        "against_best": comparisons,
        "failure": row.failure,
        "hosts": row.hosts,
    })
}

/// A table's header and lines: one line for the values of each row, then one for the comparisons of each subject.
fn cells(section: &Section) -> (Vec<String>, Vec<Vec<String>>) {
    let counted = section.rows.iter().any(|row| !row.hosts.is_empty());
    let header = std::iter::once(String::new())
        .chain(section.metrics.iter().map(|metric| metric.header.to_owned()))
        .chain(counted.then(|| "SHARES".to_owned()))
        .collect();
    let rows = 0..section.rows.len();
    let values = rows.clone().map(|row| {
        let values = section.metrics.iter().enumerate().map(|(index, metric)| {
            section
                .value(row, index)
                .map_or_else(|| "-".to_owned(), |value| formatted(value, metric.unit))
        });
        std::iter::once(section.rows[row].name.clone())
            .chain(values)
            .chain(counted.then(|| shares(&section.rows[row].hosts)))
            .collect()
    });
    let comparisons = rows.filter_map(|row| comparison_cells(section, row));
    (header, values.chain(comparisons).collect())
}

/// The line that compares a row with the best peers. `None` if none of its metrics is compared.
fn comparison_cells(section: &Section, row: usize) -> Option<Vec<String>> {
    let comparisons: Vec<_> = (0..section.metrics.len())
        .map(|metric| section.comparison(row, metric))
        .collect();
    comparisons.iter().any(Option::is_some).then(|| {
        let cells = comparisons.into_iter().map(|comparison| {
            comparison.map_or_else(String::new, |comparison| {
                format!("{:.2} × {}", comparison.ratio, comparison.best)
            })
        });
        std::iter::once(format!("{} / best", section.rows[row].name))
            .chain(cells)
            .collect()
    })
}

/// The percentage of the responses from each host.
fn shares(hosts: &BTreeMap<String, u64>) -> String {
    let all: u64 = hosts.values().sum();
    let share = |(host, count): (&String, &u64)| {
        let percent = *count as f64 * 100.0 / all.max(1) as f64;
        format!("{host} {percent:.1} %")
    };
    hosts.iter().map(share).collect::<Vec<_>>().join(", ")
}

fn failures(section: &Section) -> impl Iterator<Item = (&str, &str)> {
    section
        .rows
        .iter()
        .filter_map(|row| Some((row.name.as_str(), row.failure.as_deref()?)))
}

fn formatted(value: f64, unit: Unit) -> String {
    match unit {
        Unit::PerSecond | Unit::Count => format!("{value:.0}"),
        Unit::Microseconds if value >= 10_000.0 => format!("{:.1} ms", value / 1000.0),
        Unit::Microseconds => format!("{value:.0} µs"),
        Unit::GigabytesPerSecond => format!("{value:.2} GB/s"),
        Unit::SecondsPerGigabyte => format!("{value:.3} s/GB"),
        Unit::Mebibytes => format!("{value:.1} MiB"),
        Unit::Bytes => format!("{value:.0} B"),
    }
}

/// Escapes text for a Markdown table cell.
fn cell(text: &str) -> String {
    text.replace(['\r', '\n'], " ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::example::results;

    #[test]
    fn a_table_has_all_rows_and_compares_subjects_with_the_best_peers() {
        let text = results().text();
        let line = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("direct"), "direct 90000 20 µs 0");
        assert_eq!(line("sidecar  "), "sidecar 10000 100 µs 3");
        assert_eq!(
            line("sidecar / best"),
            "sidecar / best 1.25 × nginx 1.25 × haproxy"
        );
    }

    #[test]
    fn version_texts_are_escaped_in_markdown() {
        let text = results().markdown();
        assert!(text.contains("- nginx: nginx 1 \\| 2\n"), "{text}");
        assert!(text.contains("|  | req/s | p99 | failed |\n|---|---:|---:|---:|\n"));
        assert!(text.contains("| sidecar | 10000 | 100 µs | 3 |\n"));
    }

    #[test]
    fn json_has_values_rounds_and_ratios() {
        let parsed: Value = serde_json::from_str(&results().json()).unwrap();
        let row = &parsed["sections"][0]["rows"][1];
        assert_eq!(row["name"], "sidecar");
        assert_eq!(row["values"]["requests_per_second"], 10_000.0);
        assert_eq!(row["rounds"]["failed"], json!([1.0, 2.0, 0.0]));
        assert_eq!(
            row["against_best"]["requests_per_second"],
            json!({"best": "nginx", "ratio": 1.25})
        );
        assert_eq!(parsed["missing"], json!(["dante"]));
    }

    #[test]
    fn hosts_are_shown_with_their_shares() {
        let hosts = |counts: &[(&str, u64)]| {
            shares(
                &counts
                    .iter()
                    .map(|(host, count)| ((*host).to_owned(), *count))
                    .collect(),
            )
        };
        assert_eq!(hosts(&[("a1", 1), ("a2", 2)]), "a1 33.3 %, a2 66.7 %");
        assert_eq!(hosts(&[]), "");
        let mut results = results();
        results.sections[0].rows[0].hosts.insert("a1".to_owned(), 7);
        assert!(results.text().contains("a1 100.0 %"));
        assert!(
            results
                .markdown()
                .contains("| failed | shares |\n|---|---:|---:|---:|---:|\n")
        );
    }

    #[test]
    fn values_are_shown_with_their_units() {
        for (value, unit, expected) in [
            (12345.6, Unit::PerSecond, "12346"),
            (999.4, Unit::Microseconds, "999 µs"),
            (12_340.0, Unit::Microseconds, "12.3 ms"),
            (1.234, Unit::GigabytesPerSecond, "1.23 GB/s"),
            (0.5, Unit::SecondsPerGigabyte, "0.500 s/GB"),
            (4.25, Unit::Mebibytes, "4.2 MiB"),
            (1023.5, Unit::Bytes, "1024 B"),
        ] {
            assert_eq!(formatted(value, unit), expected);
        }
    }
}
