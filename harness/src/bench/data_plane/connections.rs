//! A new connection for each request.

use std::time::Duration;

use bench::load::{LoadReport, Workload};
use bench::results::{Aggregate, Better, Metric, Section, Unit};

use super::candidate::Candidate;
use super::rounds::{Measurement, ProxyBench};
use crate::bench::conntrack_wait::wait_for_entries;
use crate::error::Error;

const METRICS: &[Metric] = &[
    Metric {
        key: "requests_per_second",
        header: "REQ/S",
        unit: Unit::PerSecond,
        aggregate: Aggregate::Median,
        better: Better::Higher,
    },
    Metric {
        key: "p50_us",
        header: "P50",
        unit: Unit::Microseconds,
        aggregate: Aggregate::Median,
        better: Better::Lower,
    },
    Metric {
        key: "p99_us",
        header: "P99",
        unit: Unit::Microseconds,
        aggregate: Aggregate::Median,
        better: Better::Lower,
    },
    Metric {
        key: "max_us",
        header: "MAX",
        unit: Unit::Microseconds,
        aggregate: Aggregate::Median,
        better: Better::Lower,
    },
    Metric {
        key: "cpu_us_per_connection",
        header: "CPU/CONN",
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

/// Expected requests per second before the first measurement.
const INITIAL_RATE: f64 = 15_000.0;
/// Timeout of a load beyond its duration.
const GRACE: Duration = Duration::from_secs(30);
/// Each candidate's warm-up lasts for the duration of a measurement divided by this.
const WARM_UP_DIVISOR: u32 = 8;

impl ProxyBench<'_> {
    pub(super) async fn connections(&self, key: &str, candidates: &[Candidate]) -> Result<Section, Error> {
        let (concurrency, duration) = (self.options.concurrency, self.options.duration);
        self.progress.stage(key);
        let mut expected = Vec::new();
        for candidate in candidates {
            let short = duration / WARM_UP_DIVISOR;
            let requests = INITIAL_RATE * short.as_secs_f64();
            let (_, done) = self.requests(candidate, short, requests).await?;
            expected.push(done * f64::from(WARM_UP_DIVISOR));
        }
        let title = format!("{key}: one connection per request, {concurrency} at a time, for {duration:?}");
        self.rounds(key, title, METRICS, candidates, async |index, candidate| {
            let (measurement, done) = self.requests(candidate, duration, expected[index]).await?;
            expected[index] = done;
            Ok(measurement)
        })
        .await
    }

    /// Loads a candidate after waiting until the kernel can track the `expected` number of requests. Also returns the
    /// number of completed requests.
    async fn requests(
        &self,
        candidate: &Candidate,
        duration: Duration,
        expected: f64,
    ) -> Result<(Measurement, f64), Error> {
        let entries = (expected * 1.25) as u64 * candidate.tracked_connections();
        wait_for_entries(entries, self.progress).await?;
        let workload = Workload::Connections {
            concurrency: self.options.concurrency,
            duration,
        };
        let (report, cpu_time) = self.load(candidate, workload, duration + GRACE).await?;
        Ok((measurement(&report, cpu_time), report.done as f64))
    }
}

fn measurement(report: &LoadReport, cpu_time: Option<Duration>) -> Measurement {
    let any = |value: f64| (report.done > 0).then_some(value);
    let micros = |time: Duration| any(time.as_secs_f64() * 1e6);
    Measurement {
        values: vec![
            any(report.done as f64 / report.elapsed.as_secs_f64()),
            micros(report.p50),
            micros(report.p99),
            micros(report.max),
            cpu_time.and_then(|time| micros(time.div_f64((report.done as f64).max(1.0)))),
            Some(report.failed as f64),
        ],
        failure: report.failure.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_has_a_value_for_each_metric() {
        let report = LoadReport {
            done: 4000,
            failed: 3,
            elapsed: Duration::from_secs(2),
            p50: Duration::from_micros(150),
            ..LoadReport::default()
        };
        let values = measurement(&report, Some(Duration::from_millis(200))).values;
        assert_eq!(values.len(), METRICS.len());
        assert_eq!(values[..2], [Some(2000.0), Some(150.0)]);
        assert!((values[4].unwrap() - 50.0).abs() < 0.01);
        assert_eq!(values[5], Some(3.0));
        let nothing = measurement(&LoadReport::default(), None).values;
        assert_eq!(nothing, [None, None, None, None, None, Some(0.0)]);
    }
}
