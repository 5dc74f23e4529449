//! The results as tables, Markdown and JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::results::{Results, Role, Section, Unit};
use crate::clock;
use crate::console::table;

/// Changes when a key changes its meaning or goes; new keys may come at any time.
const VERSION: u32 = 1;

impl Results {
    /// Tables for people.
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

    /// The same for a web page.
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

    /// All of it for programs: every round's figures, too.
    pub fn json(&self) -> String {
        let programs: Vec<Value> = self
            .programs
            .iter()
            .map(|(name, version)| json!({"name": name, "version": version}))
            .collect();
        let sections: Vec<Value> = self.sections.iter().map(section_json).collect();
        let document = json!({
            "version": VERSION,
            "began": clock::rfc3339(self.began),
            "setting": self.setting,
            "programs": programs,
            "missing": self.missing,
            "sections": sections,
        });
        format!("{document:#}\n")
    }
}

fn section_json(section: &Section) -> Value {
    let rows: Vec<Value> = (0..section.rows.len()).map(|at| row_json(section, at)).collect();
    json!({"name": section.key, "title": section.title, "rows": rows})
}

fn row_json(section: &Section, at: usize) -> Value {
    let (mut values, mut samples, mut against) = (Map::new(), Map::new(), Map::new());
    let row = &section.rows[at];
    for (place, metric) in section.metrics.iter().enumerate() {
        values.insert(metric.key.to_owned(), json!(section.value(at, place)));
        samples.insert(metric.key.to_owned(), json!(row.samples(place)));
        if let Some(found) = section.against(at, place) {
            let beside = json!({"best": found.best, "ratio": found.ratio});
            against.insert(metric.key.to_owned(), beside);
        }
    }
    json!({
        "name": row.name,
        "values": values,
        "rounds": samples,
        "against_best": against,
        "failure": row.failure,
        "hosts": row.hosts,
    })
}

/// A table's header and its cells: a row for each contender, and one below for each of ours beside the best of others.
fn cells(section: &Section) -> (Vec<String>, Vec<Vec<String>>) {
    let metrics = section.metrics;
    let shared = section.rows.iter().any(|row| !row.hosts.is_empty());
    let header = std::iter::once(String::new())
        .chain(metrics.iter().map(|metric| metric.header.to_owned()))
        .chain(shared.then(|| "SHARES".to_owned()))
        .collect();
    let places = 0..section.rows.len();
    let values = places.clone().map(|at| {
        let figures = (0..metrics.len()).map(|place| {
            section
                .value(at, place)
                .map_or_else(|| "-".to_owned(), |value| shown(value, metrics[place].unit))
        });
        std::iter::once(section.rows[at].name.clone())
            .chain(figures)
            .chain(shared.then(|| shares(&section.rows[at].hosts)))
            .collect()
    });
    let ratios = places.filter_map(|at| {
        let found: Vec<_> = (0..metrics.len())
            .map(|place| section.against(at, place))
            .collect();
        let any = section.rows[at].role == Role::Ours && found.iter().any(Option::is_some);
        any.then(|| {
            let figures = found.into_iter().map(|against| {
                against.map_or_else(String::new, |against| {
                    format!("{:.2} × {}", against.ratio, against.best)
                })
            });
            std::iter::once(format!("{} / best", section.rows[at].name))
                .chain(figures)
                .collect()
        })
    });
    (header, values.chain(ratios).collect())
}

/// What share of the answers each host gave, in percent.
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

fn shown(value: f64, unit: Unit) -> String {
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

/// Text that stays within its cell.
fn cell(text: &str) -> String {
    text.replace(['\r', '\n'], " ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::super::results::example::results;
    use super::*;

    #[test]
    fn tables_have_all_contenders_and_what_is_best() {
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
    fn markdown_is_not_broken_by_what_programs_say_of_themselves() {
        let text = results().markdown();
        assert!(text.contains("- nginx: nginx 1 \\| 2\n"), "{text}");
        assert!(text.contains("|  | req/s | p99 | failed |\n|---|---:|---:|---:|\n"));
        assert!(text.contains("| sidecar | 10000 | 100 µs | 3 |\n"));
    }

    #[test]
    fn programs_find_figures_rounds_and_ratios() {
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
    fn hosts_have_their_share() {
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
    fn figures_have_the_digits_that_are_of_interest() {
        for (value, unit, expected) in [
            (12345.6, Unit::PerSecond, "12346"),
            (999.4, Unit::Microseconds, "999 µs"),
            (12_340.0, Unit::Microseconds, "12.3 ms"),
            (1.234, Unit::GigabytesPerSecond, "1.23 GB/s"),
            (0.5, Unit::SecondsPerGigabyte, "0.500 s/GB"),
            (4.25, Unit::Mebibytes, "4.2 MiB"),
            (1023.5, Unit::Bytes, "1024 B"),
        ] {
            assert_eq!(shown(value, unit), expected);
        }
    }
}
