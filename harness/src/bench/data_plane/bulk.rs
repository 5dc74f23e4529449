//! Bulk transfer from the backend to the client.

use std::time::Duration;

use bench::load::{LoadReport, Workload};
use bench::results::{Aggregate, Better, Metric, Section, Unit};

use super::candidate::Candidate;
use super::rounds::{MAX_BULK_CONNECTIONS, Measurement, ProxyBench};
use crate::error::Error;

/// The measured numbers of concurrent connections.
const CONNECTIONS: [usize; 2] = [1, MAX_BULK_CONNECTIONS];

const METRICS: &[Metric] = &[
    Metric {
        key: "gigabytes_per_second",
        header: "THROUGHPUT",
        unit: Unit::GigabytesPerSecond,
        aggregate: Aggregate::Median,
        better: Better::Higher,
    },
    Metric {
        key: "cpu_seconds_per_gigabyte",
        header: "CPU",
        unit: Unit::SecondsPerGigabyte,
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

/// Minimum throughput in bytes per second; a slower transfer times out.
const MIN_THROUGHPUT: u64 = 20_000_000;
/// Additional time in every transfer's timeout.
const GRACE: Duration = Duration::from_secs(30);

impl ProxyBench<'_> {
    pub(super) async fn bulk(&self, candidates: &[Candidate]) -> Result<Vec<Section>, Error> {
        let bytes = self.options.bulk;
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
                .rounds(&key, title, METRICS, candidates, async |_, candidate| {
                    let workload = Workload::Bulk { concurrency, bytes };
                    let timeout = GRACE + Duration::from_secs(bytes / MIN_THROUGHPUT);
                    let (report, cpu_time) = self.load(candidate, workload, timeout).await?;
                    Ok(measurement(&report, cpu_time))
                })
                .await?;
            sections.push(section);
        }
        Ok(sections)
    }
}

fn measurement(report: &LoadReport, cpu_time: Option<Duration>) -> Measurement {
    let gigabytes = report.bytes as f64 / 1e9;
    let any = |value: f64| (report.bytes > 0).then_some(value);
    Measurement {
        values: vec![
            any(gigabytes / report.elapsed.as_secs_f64()),
            cpu_time.and_then(|time| any(time.as_secs_f64() / gigabytes)),
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
            done: 8,
            bytes: 2_000_000_000,
            elapsed: Duration::from_secs(4),
            ..LoadReport::default()
        };
        let values = measurement(&report, Some(Duration::from_secs(1))).values;
        assert_eq!(values.len(), METRICS.len());
        assert_eq!(values, [Some(0.5), Some(0.5), Some(0.0)]);
        let nothing = measurement(&LoadReport::default(), None).values;
        assert_eq!(nothing, [None, None, Some(0.0)]);
    }
}
