//! Measures a mesh under load from outside, one path after another.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use bench::load::{LoadReport, LoadTask, Target, Workload};
use bench::results::{Aggregate, Better, Metric, Results, Row, RowKind, Section, Unit};
use bench::worker::WorkerLauncher;

use super::conntrack_wait::wait_for_entries;
use crate::cluster::mesh::Mesh;
use crate::cluster::topology::Route;
use crate::console::Progress;
use crate::error::Error;
use crate::verify::conntrack;

const METRICS: &[Metric] = &[
    Metric {
        key: "requests_per_second",
        header: "REQ/S",
        unit: Unit::PerSecond,
        aggregate: Aggregate::Median,
        better: Better::Neither,
    },
    Metric {
        key: "p50_us",
        header: "P50",
        unit: Unit::Microseconds,
        aggregate: Aggregate::Median,
        better: Better::Neither,
    },
    Metric {
        key: "p99_us",
        header: "P99",
        unit: Unit::Microseconds,
        aggregate: Aggregate::Median,
        better: Better::Neither,
    },
    Metric {
        key: "max_us",
        header: "MAX",
        unit: Unit::Microseconds,
        aggregate: Aggregate::Median,
        better: Better::Neither,
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
const INITIAL_RATE: f64 = 2_500.0;
/// Maximum number of connections that the host's kernel tracks per request: to the frontend, to its sidecar and to the
/// instance; or to the engine's proxy, from there to the container, and to the instance.
const TRACKED_CONNECTIONS: u64 = 3;
/// Timeout of a load beyond its duration.
const GRACE: Duration = Duration::from_secs(30);
/// The warm-up of each path lasts for the duration of a measurement divided by this.
const WARM_UP_DIVISOR: u32 = 10;

/// Options of the bench.
#[derive(Debug, Clone)]
pub struct Options {
    /// Number of measurements of each path.
    pub rounds: usize,
    /// Concurrent connections.
    pub concurrency: usize,
    /// Duration of each measurement.
    pub duration: Duration,
    /// The entry points ([`Route::entry_point`]) whose routes are measured; empty for all.
    pub entry_points: Vec<&'static str>,
}

/// Loads `mesh`, which must be ready, on one path after another.
///
/// # Errors
/// A port is not published, or the machine is out of a resource.
pub async fn run(options: &Options, mesh: &Mesh, progress: &Progress) -> Result<Results, Error> {
    let began = SystemTime::now();
    conntrack::check()?;
    let launcher = WorkerLauncher::new(&["bench"])?;
    let mut routes = mesh.routes()?;
    routes.retain(|(route, _)| {
        options.entry_points.is_empty() || options.entry_points.contains(&route.entry_point)
    });
    let mut rows: Vec<Row> = routes
        .iter()
        .map(|(route, _)| Row::new(&route.name(), RowKind::Subject))
        .collect();
    let mut rates = vec![INITIAL_RATE; routes.len()];
    progress.stage("load");
    for (index, route) in routes.iter().enumerate() {
        let concurrency = options.concurrency;
        let duration = options.duration / WARM_UP_DIVISOR;
        wait_for_entries(entries(INITIAL_RATE, duration), progress).await?;
        rates[index] = rate(&load(&launcher, route, concurrency, duration).await?);
    }
    for _ in 0..options.rounds {
        for (index, route) in routes.iter().enumerate() {
            progress.note(&rows[index].name);
            wait_for_entries(entries(rates[index], options.duration), progress).await?;
            let report = load(&launcher, route, options.concurrency, options.duration).await?;
            rates[index] = rate(&report);
            let row = &mut rows[index];
            row.rounds.push(values(&report));
            row.failure = row.failure.take().or(report.failure);
            for (host, count) in report.counts {
                *row.hosts.entry(host).or_default() += count;
            }
        }
    }
    let (concurrency, duration) = (options.concurrency, options.duration);
    let title = format!("mesh: one connection per request, {concurrency} at a time, for {duration:?}");
    progress.done("measured");
    Ok(Results {
        began,
        setting: match options.rounds {
            1 => "One round.".to_owned(),
            rounds => format!("Medians of {rounds} rounds."),
        },
        programs: Vec::new(),
        missing: Vec::new(),
        sections: vec![Section {
            key: "mesh".to_owned(),
            title,
            metrics: METRICS,
            rows,
        }],
    })
}

/// Number of connection tracking entries that a load of this rate needs, with a reserve.
fn entries(rate: f64, duration: Duration) -> u64 {
    (rate * duration.as_secs_f64() * 1.25) as u64 * TRACKED_CONNECTIONS
}

async fn load(
    launcher: &WorkerLauncher,
    (route, address): &(Route, SocketAddr),
    concurrency: usize,
    duration: Duration,
) -> Result<LoadReport, Error> {
    let task = LoadTask {
        target: Target {
            address: *address,
            socks5_destination: None,
        },
        workload: Workload::Http {
            concurrency,
            duration,
            target: route.target.clone(),
            count_by: "host".to_owned(),
        },
    };
    let (_, report) = launcher.load(&task, duration + GRACE).await?;
    Ok(report)
}

/// Requests per second, including failed ones.
fn rate(report: &LoadReport) -> f64 {
    (report.done + report.failed) as f64 / report.elapsed.as_secs_f64().max(0.001)
}

fn values(report: &LoadReport) -> Vec<Option<f64>> {
    let any = |value: f64| (report.done > 0).then_some(value);
    let micros = |time: Duration| any(time.as_secs_f64() * 1e6);
    vec![
        any(report.done as f64 / report.elapsed.as_secs_f64()),
        micros(report.p50),
        micros(report.p99),
        micros(report.max),
        Some(report.failed as f64),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_has_a_value_for_each_metric() {
        let report = LoadReport {
            done: 3000,
            failed: 1000,
            elapsed: Duration::from_secs(2),
            p99: Duration::from_millis(2),
            ..LoadReport::default()
        };
        assert_eq!(values(&report).len(), METRICS.len());
        assert_eq!(values(&report)[0], Some(1500.0));
        assert_eq!(values(&report)[2], Some(2000.0));
        assert!((rate(&report) - 2000.0).abs() < 0.1);
        let nothing = values(&LoadReport::default());
        assert_eq!(nothing, [None, None, None, None, Some(0.0)]);
    }
}
