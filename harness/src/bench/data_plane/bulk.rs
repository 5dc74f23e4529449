//! Much data on few connections, from the backend to the client.

use std::time::Duration;

use super::{Bench, Turn};
use crate::bench::load::{Kind, Outcome, Task};
use crate::bench::results::{Better, Fold, Metric, Section, Unit};
use crate::bench::stand::Stand;
use crate::error::Error;

/// Connections at a time.
const CONNECTIONS: [usize; 2] = [1, MOST];
/// The most of them.
pub(super) const MOST: usize = 8;

const METRICS: &[Metric] = &[
    Metric {
        key: "gigabytes_per_second",
        header: "THROUGHPUT",
        unit: Unit::GigabytesPerSecond,
        fold: Fold::Median,
        better: Better::Higher,
    },
    Metric {
        key: "cpu_seconds_per_gigabyte",
        header: "CPU",
        unit: Unit::SecondsPerGigabyte,
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

/// Bytes a second below which a turn is given up.
const SLOWEST: u64 = 20_000_000;
/// Time that a load may take in any case.
const GRACE: Duration = Duration::from_secs(30);

impl Bench<'_> {
    pub(super) async fn bulk(&self, stands: &[Stand]) -> Result<Vec<Section>, Error> {
        let bytes = self.setting.bulk;
        let mut sections = Vec::new();
        for concurrency in CONNECTIONS {
            let key = format!("bulk-{concurrency}");
            let gigabytes = bytes as f64 / 1e9;
            let many = if concurrency == 1 {
                "1 connection".to_owned()
            } else {
                format!("{concurrency} connections together")
            };
            let title = format!("{key}: {gigabytes} GB on {many}");
            let section = self
                .rounds(&key, title, METRICS, stands, async |_, stand| {
                    let task = Task {
                        route: stand.route.clone(),
                        kind: Kind::Bulk { concurrency, bytes },
                    };
                    let limit = GRACE + Duration::from_secs(bytes / SLOWEST);
                    let used = || stand.tree().map(|tree| tree.processor_time());
                    let before = used();
                    let (_, outcome) = self.helpers.load(&task, limit).await?;
                    let processor = before
                        .zip(used())
                        .map(|(before, after)| after.saturating_sub(before));
                    Ok(turn(&outcome, processor))
                })
                .await?;
            sections.push(section);
        }
        Ok(sections)
    }
}

fn turn(outcome: &Outcome, processor: Option<Duration>) -> Turn {
    let gigabytes = outcome.bytes as f64 / 1e9;
    let any = |value: f64| (outcome.bytes > 0).then_some(value);
    Turn {
        figures: vec![
            any(gigabytes / outcome.elapsed.as_secs_f64()),
            processor.and_then(|time| any(time.as_secs_f64() / gigabytes)),
            Some(outcome.failed as f64),
        ],
        failure: outcome.failure.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_has_a_figure_for_each_metric() {
        let outcome = Outcome {
            done: 8,
            bytes: 2_000_000_000,
            elapsed: Duration::from_secs(4),
            ..Outcome::default()
        };
        let figures = turn(&outcome, Some(Duration::from_secs(1))).figures;
        assert_eq!(figures.len(), METRICS.len());
        assert_eq!(figures, [Some(0.5), Some(0.5), Some(0.0)]);
        assert_eq!(turn(&Outcome::default(), None).figures, [None, None, Some(0.0)]);
    }
}
