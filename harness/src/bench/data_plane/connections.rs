//! A new connection for each request.

use std::time::Duration;

use super::{Bench, Turn};
use crate::bench::load::{Kind, Outcome, Task};
use crate::bench::results::{Better, Fold, Metric, Section, Unit};
use crate::bench::room;
use crate::bench::stand::Stand;
use crate::error::Error;

const METRICS: &[Metric] = &[
    Metric {
        key: "requests_per_second",
        header: "REQ/S",
        unit: Unit::PerSecond,
        fold: Fold::Median,
        better: Better::Higher,
    },
    Metric {
        key: "p50_us",
        header: "P50",
        unit: Unit::Microseconds,
        fold: Fold::Median,
        better: Better::Lower,
    },
    Metric {
        key: "p99_us",
        header: "P99",
        unit: Unit::Microseconds,
        fold: Fold::Median,
        better: Better::Lower,
    },
    Metric {
        key: "max_us",
        header: "MAX",
        unit: Unit::Microseconds,
        fold: Fold::Median,
        better: Better::Lower,
    },
    Metric {
        key: "cpu_us_per_connection",
        header: "CPU/CONN",
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

/// Requests a second that are expected before anything is known.
const GUESS: f64 = 15_000.0;
/// Time that a load may take beyond its duration.
const GRACE: Duration = Duration::from_secs(30);
/// Part of a turn's length that each has before the first round.
const WARM_UP: u32 = 8;

impl Bench<'_> {
    pub(super) async fn connections(&self, key: &str, stands: &[Stand]) -> Result<Section, Error> {
        let (concurrency, duration) = (self.setting.concurrency, self.setting.duration);
        self.progress.stage(key);
        let mut expected = Vec::new();
        for stand in stands {
            let short = duration / WARM_UP;
            let (_, outcome) = self.requests(stand, short, GUESS * short.as_secs_f64()).await?;
            expected.push(outcome.done as f64 * f64::from(WARM_UP));
        }
        let title =
            format!("{key}: a connection for each request, {concurrency} at a time, turns of {duration:?}");
        self.rounds(key, title, METRICS, stands, async |at, stand| {
            let (turn, outcome) = self.requests(stand, duration, expected[at]).await?;
            expected[at] = outcome.done as f64;
            Ok(turn)
        })
        .await
    }

    /// One turn, of which about `expected` requests are expected.
    async fn requests(
        &self,
        stand: &Stand,
        duration: Duration,
        expected: f64,
    ) -> Result<(Turn, Outcome), Error> {
        let room = (expected * 1.25) as u64 * stand.tracked();
        room::wait(room, self.progress).await?;
        let task = Task {
            route: stand.route.clone(),
            kind: Kind::Connections {
                concurrency: self.setting.concurrency,
                duration,
            },
        };
        let used = || stand.tree().map(|tree| tree.processor_time());
        let before = used();
        let (_, outcome) = self.helpers.load(&task, duration + GRACE).await?;
        let processor = before
            .zip(used())
            .map(|(before, after)| after.saturating_sub(before));
        Ok((turn(&outcome, processor), outcome))
    }
}

fn turn(outcome: &Outcome, processor: Option<Duration>) -> Turn {
    let any = |value: f64| (outcome.done > 0).then_some(value);
    let micros = |time: Duration| any(time.as_secs_f64() * 1e6);
    Turn {
        figures: vec![
            any(outcome.done as f64 / outcome.elapsed.as_secs_f64()),
            micros(outcome.p50),
            micros(outcome.p99),
            micros(outcome.max),
            processor.and_then(|time| micros(time.div_f64((outcome.done as f64).max(1.0)))),
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
            done: 4000,
            failed: 3,
            elapsed: Duration::from_secs(2),
            p50: Duration::from_micros(150),
            ..Outcome::default()
        };
        let figures = turn(&outcome, Some(Duration::from_millis(200))).figures;
        assert_eq!(figures.len(), METRICS.len());
        assert_eq!(figures[..2], [Some(2000.0), Some(150.0)]);
        assert!((figures[4].unwrap() - 50.0).abs() < 0.01);
        assert_eq!(figures[5], Some(3.0));
        let nothing = turn(&Outcome::default(), None).figures;
        assert_eq!(nothing, [None, None, None, None, None, Some(0.0)]);
    }
}
