//! Memory of each proxy: idle, and with many connections that are open and idle.

use std::time::Duration;

use super::{Bench, raise_descriptors};
use crate::bench::accounting::Memory;
use crate::bench::contenders::Contender;
use crate::bench::load::{Kind, Outcome, Task};
use crate::bench::results::{Better, Fold, Metric, Section, Unit};
use crate::bench::room;
use crate::bench::stand::Stand;
use crate::error::Error;

/// Descriptors that a proxy has for anything but connections, of which each has two.
const OTHER_DESCRIPTORS: u64 = 300;
/// Time after which a proxy has put in order what it keeps.
const SETTLE: Duration = Duration::from_millis(500);
/// Time in which all connections must be open.
const LIMIT: Duration = Duration::from_secs(120);
/// Threads of the backend: connections are opened one after the other.
const THREADS: usize = 16;

const METRICS: &[Metric] = &[
    Metric {
        key: "idle_resident_mib",
        header: "IDLE RSS",
        unit: Unit::Mebibytes,
        fold: Fold::Median,
        better: Better::Lower,
    },
    Metric {
        key: "idle_proportional_mib",
        header: "IDLE PSS",
        unit: Unit::Mebibytes,
        fold: Fold::Median,
        better: Better::Lower,
    },
    Metric {
        key: "resident_bytes_per_connection",
        header: "RSS/CONN",
        unit: Unit::Bytes,
        fold: Fold::Median,
        better: Better::Lower,
    },
    Metric {
        key: "proportional_bytes_per_connection",
        header: "PSS/CONN",
        unit: Unit::Bytes,
        fold: Fold::Median,
        better: Better::Lower,
    },
    Metric {
        key: "connections",
        header: "CONNECTIONS",
        unit: Unit::Count,
        fold: Fold::Median,
        better: Better::Neither,
    },
    Metric {
        key: "failed",
        header: "FAILED",
        unit: Unit::Count,
        fold: Fold::Total,
        better: Better::Neither,
    },
];

impl Bench<'_> {
    /// Each is measured once, freshly started: what it has done before would be in its memory.
    pub(super) async fn memory(&self, key: &str, contenders: &[Contender]) -> Result<Section, Error> {
        let count = self.setting.idle.min(affordable(raise_descriptors()));
        self.progress.stage(key);
        let mut rows = Vec::new();
        for contender in contenders {
            self.progress.note(contender.name);
            // A backend that is new, too, closes what the one before has held.
            let (_backend, address) = self.helpers.backend(THREADS).await?;
            let connections = usize::try_from(count).unwrap_or(usize::MAX);
            let Some(stand) = self.stand(*contender, address, connections).await? else {
                continue;
            };
            room::wait(count * stand.tracked(), self.progress).await?;
            let (idle, busy, outcome) = self.measured(&stand, connections).await?;
            let mut row = stand.row();
            row.rounds.push(figures(idle, busy, &outcome));
            row.failure = outcome.failure;
            rows.push(row);
            stand.stop().await;
        }
        let title = format!("{key}: idle, and with {count} idle connections");
        self.progress.done("measured");
        Ok(Section {
            key: key.to_owned(),
            title,
            metrics: METRICS,
            rows,
        })
    }

    async fn measured(&self, stand: &Stand, count: usize) -> Result<(Memory, Memory, Outcome), Error> {
        let memory = async || {
            tokio::time::sleep(SETTLE).await;
            stand.tree().map_or_else(Memory::default, |tree| tree.memory())
        };
        let idle = memory().await;
        let task = Task {
            route: stand.route.clone(),
            kind: Kind::Hold { count },
        };
        let (_held, outcome) = self.helpers.load(&task, LIMIT).await?;
        Ok((idle, memory().await, outcome))
    }
}

/// How many connections a proxy can have with this limit of open files.
fn affordable(descriptors: u64) -> u64 {
    descriptors.saturating_sub(OTHER_DESCRIPTORS) / 2
}

fn figures(idle: Memory, busy: Memory, outcome: &Outcome) -> Vec<Option<f64>> {
    let mebibytes = |bytes: u64| Some(bytes as f64 / f64::from(1 << 20));
    let each = |idle: u64, busy: u64| {
        (outcome.done > 0).then(|| busy.saturating_sub(idle) as f64 / outcome.done as f64)
    };
    vec![
        mebibytes(idle.resident),
        mebibytes(idle.proportional),
        each(idle.resident, busy.resident),
        each(idle.proportional, busy.proportional),
        Some(outcome.done as f64),
        Some(outcome.failed as f64),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_no_more_than_descriptors_allow() {
        assert_eq!(affordable(20_300), 10_000);
        assert_eq!(affordable(1024), 362);
        assert_eq!(affordable(100), 0);
    }

    #[test]
    fn a_connection_costs_what_came_on_top() {
        let memory = |mib: u64| Memory {
            resident: mib << 20,
            proportional: mib << 20,
        };
        let outcome = Outcome {
            done: 1024,
            failed: 1,
            ..Outcome::default()
        };
        let found = figures(memory(4), memory(6), &outcome);
        assert_eq!(found.len(), METRICS.len());
        assert_eq!(found, [4.0, 4.0, 2048.0, 2048.0, 1024.0, 1.0].map(Some));
        assert_eq!(figures(memory(4), memory(2), &Outcome::default())[2], None);
    }
}
