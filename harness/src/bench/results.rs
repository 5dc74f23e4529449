//! What was measured.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::statistics::median;

/// What a figure is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Requests a second.
    PerSecond,
    /// Microseconds.
    Microseconds,
    /// 10^9 bytes a second.
    GigabytesPerSecond,
    /// Seconds of processor time for 10^9 bytes.
    SecondsPerGigabyte,
    /// 2^20 bytes.
    Mebibytes,
    /// Bytes.
    Bytes,
    /// A number.
    Count,
}

/// What several rounds make one figure of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// Their median.
    Median,
    /// All together.
    Total,
}

/// Which of two figures is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// The higher.
    Higher,
    /// The lower.
    Lower,
    /// They are not compared.
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
    /// What rounds make of it.
    pub fold: Fold,
    /// Which is better.
    pub better: Better,
}

/// What a row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// No proxy at all: what the others can at most come to.
    Floor,
    /// The sidecar.
    Ours,
    /// Another's.
    Rival,
}

/// What was measured of one contender.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What it stands for.
    pub role: Role,
    /// For each round a figure for each metric; none where there is none.
    pub rounds: Vec<Vec<Option<f64>>>,
    /// Why something failed, the first time.
    pub failure: Option<String>,
    /// How many answers each host gave, where that is of interest.
    pub hosts: BTreeMap<String, u64>,
}

impl Row {
    /// One of which nothing is known yet.
    pub fn new(name: &str, role: Role) -> Self {
        Self {
            name: name.to_owned(),
            role,
            rounds: Vec::new(),
            failure: None,
            hosts: BTreeMap::new(),
        }
    }

    /// The metric's figure in each round.
    pub fn samples(&self, metric: usize) -> Vec<f64> {
        self.rounds
            .iter()
            .filter_map(|round| round.get(metric).copied().flatten())
            .collect()
    }

    fn value(&self, at: usize, metric: Metric) -> Option<f64> {
        let samples = self.samples(at);
        match metric.fold {
            Fold::Median => median(&samples),
            Fold::Total if samples.is_empty() => None,
            Fold::Total => Some(samples.iter().sum()),
        }
    }
}

/// A figure beside the best of others.
#[derive(Debug, Clone, PartialEq)]
pub struct Against {
    /// Who is best.
    pub best: String,
    /// Ours divided by theirs.
    pub ratio: f64,
}

/// One table.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Its name in JSON.
    pub key: String,
    /// What was done.
    pub title: String,
    /// Its columns.
    pub metrics: &'static [Metric],
    /// Its rows.
    pub rows: Vec<Row>,
}

impl Section {
    /// The figure of a row and a metric, by their places.
    pub fn value(&self, row: usize, metric: usize) -> Option<f64> {
        self.rows.get(row)?.value(metric, *self.metrics.get(metric)?)
    }

    /// One of ours beside the best of others.
    pub fn against(&self, row: usize, metric: usize) -> Option<Against> {
        let better = self.metrics.get(metric)?.better;
        let ours = self.rows.get(row).filter(|row| row.role == Role::Ours)?;
        let own = ours.value(metric, *self.metrics.get(metric)?)?;
        let others = self.rows.iter().enumerate().filter_map(|(at, other)| {
            let value = self.value(at, metric).filter(|_| other.role == Role::Rival)?;
            Some((value, other))
        });
        let (theirs, best) = match better {
            Better::Higher => others.max_by(|a, b| a.0.total_cmp(&b.0))?,
            Better::Lower => others.min_by(|a, b| a.0.total_cmp(&b.0))?,
            Better::Neither => return None,
        };
        let ratio = own / theirs;
        ratio.is_finite().then(|| Against {
            best: best.name.clone(),
            ratio,
        })
    }
}

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Results {
    /// When it began.
    pub began: SystemTime,
    /// What was asked for, in words.
    pub setting: String,
    /// The programs that were measured, with their versions.
    pub programs: Vec<(String, String)>,
    /// Those that are not installed.
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
            fold: Fold::Median,
            better: Better::Higher,
        },
        Metric {
            key: "p99_us",
            header: "P99",
            unit: Unit::Microseconds,
            fold: Fold::Median,
            better: Better::Lower,
        },
        Metric {
            key: "failed",
            header: "FAILED",
            unit: Unit::Count,
            fold: Fold::Total,
            better: Better::Neither,
        },
    ];

    fn row(name: &str, role: Role, rounds: &[[Option<f64>; 3]]) -> Row {
        Row {
            rounds: rounds.iter().map(|round| round.to_vec()).collect(),
            ..Row::new(name, role)
        }
    }

    pub(in crate::bench) fn results() -> Results {
        let section = Section {
            key: "tcp".to_owned(),
            title: "tcp: a connection for each request".to_owned(),
            metrics: METRICS,
            rows: vec![
                row("direct", Role::Floor, &[[Some(90_000.0), Some(20.0), Some(0.0)]]),
                row(
                    "sidecar",
                    Role::Ours,
                    &[
                        [Some(9_000.0), Some(50.0), Some(1.0)],
                        [Some(12_000.0), Some(300.0), Some(2.0)],
                        [Some(10_000.0), Some(100.0), Some(0.0)],
                    ],
                ),
                row("nginx", Role::Rival, &[[Some(8_000.0), Some(200.0), Some(0.0)]]),
                row("haproxy", Role::Rival, &[[Some(5_000.0), Some(80.0), Some(0.0)]]),
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
    fn rounds_are_folded() {
        let section = example::results().sections.remove(0);
        let of = |row| [0, 1, 2].map(|metric| section.value(row, metric));
        assert_eq!(of(1), [Some(10_000.0), Some(100.0), Some(3.0)]);
        assert_eq!(section.value(9, 0), None);
        assert_eq!(section.value(0, 9), None);
    }

    #[test]
    fn ours_is_compared_with_the_best_of_others_and_never_with_the_floor() {
        let section = example::results().sections.remove(0);
        let against = |row, metric| {
            section
                .against(row, metric)
                .map(|against| (against.best, against.ratio))
        };
        assert_eq!(against(1, 0), Some(("nginx".to_owned(), 1.25)));
        assert_eq!(against(1, 1), Some(("haproxy".to_owned(), 1.25)));
        assert_eq!(against(1, 2), None);
        assert_eq!(against(2, 0), None);
        let alone = Section {
            rows: section.rows[..2].to_vec(),
            ..section.clone()
        };
        assert_eq!(alone.against(1, 0), None);
    }
}
