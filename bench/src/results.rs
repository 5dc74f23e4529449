//! Measured values in sections, their aggregates and comparisons.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::statistics::median;

/// Unit of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Requests per second.
    PerSecond,
    /// Microseconds.
    Microseconds,
    /// 10^9 bytes per second.
    GigabytesPerSecond,
    /// Seconds of CPU time per 10^9 bytes.
    SecondsPerGigabyte,
    /// 2^20 bytes.
    Mebibytes,
    /// Bytes.
    Bytes,
    /// A number.
    Count,
}

/// The aggregation of the values of several rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// Their median.
    Median,
    /// Their sum.
    Sum,
}

/// The preferred direction of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Higher values are better.
    Higher,
    /// Lower values are better.
    Lower,
    /// Values are not compared.
    Neither,
}

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name in JSON, with its unit.
    pub key: &'static str,
    /// Its name in tables.
    pub header: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// The aggregation of the rounds.
    pub aggregate: Aggregate,
    /// The preferred direction.
    pub better: Better,
}

/// The role of a row in comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// A connection without a proxy: an upper bound.
    Direct,
    /// A row to compare with the peers.
    Subject,
    /// A peer.
    Peer,
}

/// A row of a table: the measured values of one proxy or path.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Its role in comparisons.
    pub kind: RowKind,
    /// For each round, a value per metric; `None` if it could not be measured.
    pub rounds: Vec<Vec<Option<f64>>>,
    /// The first failure.
    pub failure: Option<String>,
    /// Number of responses by host, if they are counted.
    pub hosts: BTreeMap<String, u64>,
}

impl Row {
    /// A row without rounds.
    pub fn new(name: &str, kind: RowKind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            rounds: Vec::new(),
            failure: None,
            hosts: BTreeMap::new(),
        }
    }

    /// The values of all rounds of the metric at index `metric`.
    pub fn samples(&self, metric: usize) -> Vec<f64> {
        self.rounds
            .iter()
            .filter_map(|round| round.get(metric).copied().flatten())
            .collect()
    }

    fn value(&self, index: usize, metric: Metric) -> Option<f64> {
        let samples = self.samples(index);
        match metric.aggregate {
            Aggregate::Median => median(&samples),
            Aggregate::Sum if samples.is_empty() => None,
            Aggregate::Sum => Some(samples.iter().sum()),
        }
    }
}

/// A value of the subject, compared with the best peer.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The best peer's name.
    pub best: String,
    /// The subject's value divided by the best peer's.
    pub ratio: f64,
}

/// One table.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Its name in JSON.
    pub key: String,
    /// What was measured.
    pub title: String,
    /// Its columns.
    pub metrics: &'static [Metric],
    /// Its rows.
    pub rows: Vec<Row>,
}

impl Section {
    /// The aggregated value of a row and a metric, by their indexes.
    pub fn value(&self, row: usize, metric: usize) -> Option<f64> {
        self.rows.get(row)?.value(metric, *self.metrics.get(metric)?)
    }

    /// The aggregated value compared with the best peer's. `None` if the row is not a subject or the metric is not
    /// compared.
    pub fn comparison(&self, row: usize, metric: usize) -> Option<Comparison> {
        let better = self.metrics.get(metric)?.better;
        self.rows.get(row).filter(|row| row.kind == RowKind::Subject)?;
        let own = self.value(row, metric)?;
        let peers = self.rows.iter().enumerate().filter_map(|(index, peer)| {
            let value = self.value(index, metric).filter(|_| peer.kind == RowKind::Peer)?;
            Some((value, peer))
        });
        let (value, best) = match better {
            Better::Higher => peers.max_by(|a, b| a.0.total_cmp(&b.0))?,
            Better::Lower => peers.min_by(|a, b| a.0.total_cmp(&b.0))?,
            Better::Neither => return None,
        };
        let ratio = own / value;
        ratio.is_finite().then(|| Comparison {
            best: best.name.clone(),
            ratio,
        })
    }
}

/// The results of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Results {
    /// Start time.
    pub began: SystemTime,
    /// The options and the machine, as a sentence.
    pub setting: String,
    /// Names and versions of the measured programs.
    pub programs: Vec<(String, String)>,
    /// Names of peers that are not installed.
    pub missing: Vec<String>,
    /// The tables.
    pub sections: Vec<Section>,
}

#[cfg(test)]
pub(super) mod example {
    use super::*;

    const METRICS: &[Metric] = &[
        Metric {
            key: "requests_per_second",
            header: "REQ/S",
            unit: Unit::PerSecond,
            aggregate: Aggregate::Median,
            better: Better::Higher,
        },
        Metric {
            key: "p99_us",
            header: "P99",
            unit: Unit::Microseconds,
            aggregate: Aggregate::Median,
            better: Better::Lower,
        },
        Metric {
            key: "failed",
            header: "FAILED",
            unit: Unit::Count,
            aggregate: Aggregate::Sum,
            better: Better::Neither,
        },
    ];

    fn row(name: &str, kind: RowKind, rounds: &[[Option<f64>; 3]]) -> Row {
        Row {
            rounds: rounds.iter().map(|round| round.to_vec()).collect(),
            ..Row::new(name, kind)
        }
    }

    pub(crate) fn results() -> Results {
        let section = Section {
            key: "tcp".to_owned(),
            title: "tcp: one connection per request".to_owned(),
            metrics: METRICS,
            rows: vec![
                row(
                    "direct",
                    RowKind::Direct,
                    &[[Some(90_000.0), Some(20.0), Some(0.0)]],
                ),
                row(
                    "sidecar",
                    RowKind::Subject,
                    &[
                        [Some(9_000.0), Some(50.0), Some(1.0)],
                        [Some(12_000.0), Some(300.0), Some(2.0)],
                        [Some(10_000.0), Some(100.0), Some(0.0)],
                    ],
                ),
                row("nginx", RowKind::Peer, &[[Some(8_000.0), Some(200.0), Some(0.0)]]),
                row(
                    "haproxy",
                    RowKind::Peer,
                    &[[Some(5_000.0), Some(80.0), Some(0.0)]],
                ),
            ],
        };
        Results {
            began: SystemTime::UNIX_EPOCH,
            setting: "3 rounds".to_owned(),
            programs: vec![("nginx".to_owned(), "nginx 1 | 2".to_owned())],
            missing: vec!["dante".to_owned()],
            sections: vec![section],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_aggregated_to_a_median_or_a_sum() {
        let section = example::results().sections.remove(0);
        let of = |row| [0, 1, 2].map(|metric| section.value(row, metric));
        assert_eq!(of(1), [Some(10_000.0), Some(100.0), Some(3.0)]);
        assert_eq!(section.value(9, 0), None);
        assert_eq!(section.value(0, 9), None);
    }

    #[test]
    fn a_subject_is_compared_with_the_best_peer_and_not_with_direct() {
        let section = example::results().sections.remove(0);
        let comparison = |row, metric| {
            section
                .comparison(row, metric)
                .map(|comparison| (comparison.best, comparison.ratio))
        };
        assert_eq!(comparison(1, 0), Some(("nginx".to_owned(), 1.25)));
        assert_eq!(comparison(1, 1), Some(("haproxy".to_owned(), 1.25)));
        assert_eq!(comparison(1, 2), None);
        assert_eq!(comparison(2, 0), None);
        let alone = Section {
            rows: section.rows[..2].to_vec(),
            ..section.clone()
        };
        assert_eq!(alone.comparison(1, 0), None);
    }
}
