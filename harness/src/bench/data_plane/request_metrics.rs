//! What is measured of requests, whether each has a connection of its own or not.

use std::time::Duration;

use bench::load::LoadReport;
use bench::results::{Aggregate, Better, Metric, Unit};

use super::rounds::Measurement;

/// The columns: rate, latency, CPU time of the proxy, failures. `cpu` names the column of CPU time, in JSON and in tables.
pub(super) const fn metrics(cpu: &'static str, cpu_header: &'static str) -> [Metric; 6] {
    [
        Metric {
            key: "requests_per_second",
            header: "REQ/S",
            unit: Unit::PerSecond,
            aggregate: Aggregate::Median,
            better: Better::Higher,
        },
        time("p50_us", "P50"),
        time("p99_us", "P99"),
        time("max_us", "MAX"),
        time(cpu, cpu_header),
        Metric {
            key: "failed",
            header: "FAILED",
            unit: Unit::Count,
            aggregate: Aggregate::Sum,
            better: Better::Neither,
        },
    ]
}

const fn time(key: &'static str, header: &'static str) -> Metric {
    Metric {
        key,
        header,
        unit: Unit::Microseconds,
        aggregate: Aggregate::Median,
        better: Better::Lower,
    }
}

/// The values of the columns.
pub(super) fn measurement(report: &LoadReport, cpu_time: Option<Duration>) -> Measurement {
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
        assert_eq!(values.len(), metrics("", "").len());
        assert_eq!(values[..2], [Some(2000.0), Some(150.0)]);
        assert!((values[4].unwrap() - 50.0).abs() < 0.01);
        let nothing = measurement(&LoadReport::default(), None).values;
        assert_eq!(nothing, [None, None, None, None, None, Some(0.0)]);
    }
}
