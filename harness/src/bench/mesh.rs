//! A whole mesh under load from outside, path by path.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::helpers::Helpers;
use super::load::{Kind, Outcome, Route as Way, Task};
use super::results::{Better, Fold, Metric, Results, Role, Row, Section, Unit};
use super::room;
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
        fold: Fold::Median,
        better: Better::Neither,
    },
    Metric {
        key: "p50_us",
        header: "P50",
        unit: Unit::Microseconds,
        fold: Fold::Median,
        better: Better::Neither,
    },
    Metric {
        key: "p99_us",
        header: "P99",
        unit: Unit::Microseconds,
        fold: Fold::Median,
        better: Better::Neither,
    },
    Metric {
        key: "max_us",
        header: "MAX",
        unit: Unit::Microseconds,
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

/// Requests a second for which there must be room before anything is known.
const GUESS: f64 = 2_500.0;
/// Connections that the host's kernel tracks for one request at most: to the frontend, to its sidecar and to the
/// instance; or to the engine's proxy, from there to the container, and to the instance.
const TRACKED: u64 = 3;
/// Time that a load may take beyond its duration.
const GRACE: Duration = Duration::from_secs(30);
/// Part of the duration that each path is loaded before.
const WARM_UP: u32 = 10;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Setting {
    /// How often each path has its turn.
    pub rounds: usize,
    /// Connections at a time.
    pub concurrency: usize,
    /// How long a turn is.
    pub duration: Duration,
    /// The ways, as [`Route::way`] names them; all where none is named.
    pub ways: Vec<&'static str>,
}

/// Loads `mesh`, which must be ready, on one path after the other.
///
/// # Errors
/// A port is not published, or the machine has run out of something.
pub async fn run(setting: &Setting, mesh: &Mesh, progress: &Progress) -> Result<Results, Error> {
    let began = SystemTime::now();
    conntrack::check()?;
    let helpers = Helpers::new()?;
    let mut routes = mesh.routes()?;
    routes.retain(|(route, _)| setting.ways.is_empty() || setting.ways.contains(&route.way));
    let mut rows: Vec<Row> = routes
        .iter()
        .map(|(route, _)| Row::new(&route.name(), Role::Ours))
        .collect();
    let mut expected = vec![GUESS; routes.len()];
    progress.stage("load");
    for (at, route) in routes.iter().enumerate() {
        let outcome = turn(
            setting,
            &helpers,
            route,
            setting.duration / WARM_UP,
            GUESS,
            progress,
        )
        .await?;
        expected[at] = rate(&outcome);
    }
    for _ in 0..setting.rounds {
        for (at, route) in routes.iter().enumerate() {
            progress.note(&rows[at].name);
            let outcome = turn(setting, &helpers, route, setting.duration, expected[at], progress).await?;
            expected[at] = rate(&outcome);
            let row = &mut rows[at];
            row.rounds.push(figures(&outcome));
            row.failure = row.failure.take().or(outcome.failure);
            for (host, count) in outcome.hosts {
                *row.hosts.entry(host).or_default() += count;
            }
        }
    }
    let (concurrency, duration) = (setting.concurrency, setting.duration);
    let title =
        format!("mesh: a connection for each request, {concurrency} at a time, turns of {duration:?}");
    progress.done("measured");
    Ok(Results {
        began,
        setting: match setting.rounds {
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

async fn turn(
    setting: &Setting,
    helpers: &Helpers,
    (route, address): &(Route, SocketAddr),
    duration: Duration,
    expected: f64,
    progress: &Progress,
) -> Result<Outcome, Error> {
    room::wait(
        (expected * duration.as_secs_f64() * 1.25) as u64 * TRACKED,
        progress,
    )
    .await?;
    let task = Task {
        route: Way {
            address: *address,
            destination: None,
        },
        kind: Kind::Http {
            concurrency: setting.concurrency,
            duration,
            target: route.target.clone(),
        },
    };
    let (_, outcome) = helpers.load(&task, duration + GRACE).await?;
    Ok(outcome)
}

fn rate(outcome: &Outcome) -> f64 {
    (outcome.done + outcome.failed) as f64 / outcome.elapsed.as_secs_f64().max(0.001)
}

fn figures(outcome: &Outcome) -> Vec<Option<f64>> {
    let any = |value: f64| (outcome.done > 0).then_some(value);
    let micros = |time: Duration| any(time.as_secs_f64() * 1e6);
    vec![
        any(outcome.done as f64 / outcome.elapsed.as_secs_f64()),
        micros(outcome.p50),
        micros(outcome.p99),
        micros(outcome.max),
        Some(outcome.failed as f64),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_has_a_figure_for_each_metric() {
        let outcome = Outcome {
            done: 3000,
            failed: 1000,
            elapsed: Duration::from_secs(2),
            p99: Duration::from_millis(2),
            ..Outcome::default()
        };
        assert_eq!(figures(&outcome).len(), METRICS.len());
        assert_eq!(figures(&outcome)[0], Some(1500.0));
        assert_eq!(figures(&outcome)[2], Some(2000.0));
        assert!((rate(&outcome) - 2000.0).abs() < 0.1);
        let nothing = figures(&Outcome::default());
        assert_eq!(nothing, [None, None, None, None, Some(0.0)]);
    }
}
