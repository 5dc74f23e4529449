//! Memory of each proxy: without connections, and with many idle connections.

use std::time::Duration;

use bench::descriptor_limit;
use bench::load::{LoadReport, LoadTask, Workload};
use bench::process_usage::Memory;
use bench::results::{Aggregate, Better, Metric, Row, Section, Unit};
use bench::worker::Worker;

use super::candidate::Candidate;
use super::proxy_setup::ProxySetup;
use super::rounds::ProxyBench;
use crate::bench::conntrack_wait::wait_for_entries;
use crate::error::Error;

/// Number of a proxy's descriptors in addition to two for each connection.
const OTHER_DESCRIPTORS: u64 = 300;
/// Pause before a measurement, until a proxy's memory no longer changes.
const SETTLE: Duration = Duration::from_millis(500);
/// Timeout for opening all connections.
const OPEN_TIMEOUT: Duration = Duration::from_secs(120);
/// Number of backend threads; few suffice, because connections are opened one after another.
const THREADS: usize = 16;

const METRICS: &[Metric] = &[
    Metric {
        key: "idle_resident_mib",
        header: "IDLE RSS",
        unit: Unit::Mebibytes,
        aggregate: Aggregate::Median,
        better: Better::Lower,
    },
    Metric {
        key: "idle_proportional_mib",
        header: "IDLE PSS",
        unit: Unit::Mebibytes,
        aggregate: Aggregate::Median,
        better: Better::Lower,
    },
    Metric {
        key: "resident_bytes_per_connection",
        header: "RSS/CONN",
        unit: Unit::Bytes,
        aggregate: Aggregate::Median,
        better: Better::Lower,
    },
    Metric {
        key: "proportional_bytes_per_connection",
        header: "PSS/CONN",
        unit: Unit::Bytes,
        aggregate: Aggregate::Median,
        better: Better::Lower,
    },
    Metric {
        key: "connections",
        header: "CONNECTIONS",
        unit: Unit::Count,
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

impl ProxyBench<'_> {
    /// Measures each proxy once, immediately after its start: its memory depends on its previous load.
    pub(super) async fn memory(&self, key: &str, setups: &[ProxySetup]) -> Result<Section, Error> {
        let count = self.options.idle.min(max_connections(descriptor_limit::raise()));
        self.progress.stage(key);
        let mut rows = Vec::new();
        for setup in setups {
            self.progress.note(setup.name);
            // Each proxy has its own backend, whose end closes the held connections.
            let (_backend, address) = self.launcher.backend(THREADS).await?;
            let connections = usize::try_from(count).unwrap_or(usize::MAX);
            let Some(candidate) = self.start(*setup, address, connections).await? else {
                continue;
            };
            wait_for_entries(count * candidate.tracked_connections(), self.progress).await?;
            let task = LoadTask {
                target: candidate.target.clone(),
                workload: Workload::Hold { count: connections },
            };
            rows.push(measure(&candidate, self.launcher.load(&task, OPEN_TIMEOUT)).await?);
            candidate.stop().await;
        }
        let title = format!("{key}: idle, and with {count} idle connections");
        self.progress.done("measured");
        Ok(section(key, title, rows))
    }
}

/// A table of memory.
pub(super) fn section(key: &str, title: String, rows: Vec<Row>) -> Section {
    Section {
        key: key.to_owned(),
        title,
        metrics: METRICS,
        rows,
    }
}

/// Measures a candidate's memory without connections, and with those that `holding` opens.
pub(super) async fn measure(
    candidate: &Candidate,
    holding: impl Future<Output = Result<(Worker, LoadReport), bench::Error>>,
) -> Result<Row, Error> {
    let memory = async || {
        tokio::time::sleep(SETTLE).await;
        candidate
            .processes()
            .map_or_else(Memory::default, |tree| tree.memory())
    };
    let idle = memory().await;
    let (_held, report) = holding.await?;
    let mut row = candidate.row();
    row.rounds.push(values(idle, memory().await, &report));
    row.failure = report.failure;
    Ok(row)
}

/// Number of connections that a proxy can hold with this open-file limit.
pub(super) fn max_connections(descriptors: u64) -> u64 {
    descriptors.saturating_sub(OTHER_DESCRIPTORS) / 2
}

fn values(idle: Memory, loaded: Memory, report: &LoadReport) -> Vec<Option<f64>> {
    let mebibytes = |bytes: u64| Some(bytes as f64 / f64::from(1 << 20));
    let per_connection = |idle: u64, loaded: u64| {
        (report.done > 0).then(|| loaded.saturating_sub(idle) as f64 / report.done as f64)
    };
    vec![
        mebibytes(idle.resident),
        mebibytes(idle.proportional),
        per_connection(idle.resident, loaded.resident),
        per_connection(idle.proportional, loaded.proportional),
        Some(report.done as f64),
        Some(report.failed as f64),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_limits_connections() {
        assert_eq!(max_connections(20_300), 10_000);
        assert_eq!(max_connections(1024), 362);
        assert_eq!(max_connections(100), 0);
    }

    #[test]
    fn memory_per_connection_is_the_increase_divided_by_the_connections() {
        let memory = |mib: u64| Memory {
            resident: mib << 20,
            proportional: mib << 20,
        };
        let report = LoadReport {
            done: 1024,
            failed: 1,
            ..LoadReport::default()
        };
        let found = values(memory(4), memory(6), &report);
        assert_eq!(found.len(), METRICS.len());
        assert_eq!(found, [4.0, 4.0, 2048.0, 2048.0, 1024.0, 1.0].map(Some));
        assert_eq!(values(memory(4), memory(2), &LoadReport::default())[2], None);
    }
}
