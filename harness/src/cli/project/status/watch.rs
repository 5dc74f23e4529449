//! `status --watch` for a project: looks every second until an interrupt.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use harness::engine::Docker;
use harness::error::Error;
use harness::interrupt::Interrupts;
use harness::project::status::ProjectStatus;

use super::super::super::output::print;
use super::super::super::status::{Output, second};
use super::super::Planned;
use super::{json, shut_ports, status};

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// Time between two looks at open ports, each of which takes a helper container a service.
const PORTS_PERIOD: Duration = Duration::from_secs(30);

/// Prints the status until an interrupt, or until nobody reads the output.
///
/// # Errors
/// The engine fails.
pub(super) async fn run(
    engine: &Docker,
    planned: Planned,
    json: bool,
    interrupts: &Interrupts,
) -> Result<ExitCode, Error> {
    let looking = Box::pin(look(engine, &planned, Output::chosen(json), interrupts));
    let ended = interrupts.stop.run_until_cancelled(looking).await;
    engine.settled().await;
    ended.unwrap_or(Ok(()))?;
    Ok(ExitCode::SUCCESS)
}

async fn look(
    engine: &Docker,
    planned: &Planned,
    output: Output,
    interrupts: &Interrupts,
) -> Result<(), Error> {
    let mut last: Option<ProjectStatus> = None;
    let mut ports: Option<(Instant, Vec<String>)> = None;
    loop {
        let shut = match ports.take() {
            Some((at, shut)) if at.elapsed() < PORTS_PERIOD => (at, shut),
            _ => (
                Instant::now(),
                shut_ports(planned, engine).await?.problems(planned),
            ),
        };
        let now = status(planned, engine, shut.1.clone()).await?;
        ports = Some(shut);
        let text = text(output, last.as_ref(), &now)?;
        if !text.is_empty() && !print(text, interrupts).await? {
            return Ok(());
        }
        last = Some(now);
        tokio::time::sleep(PERIOD).await;
    }
}

fn text(output: Output, last: Option<&ProjectStatus>, now: &ProjectStatus) -> Result<String, Error> {
    let whole = || {
        let problems: String = now.problems.iter().map(|line| format!("{line}\n")).collect();
        format!("{}{problems}", now.table())
    };
    Ok(match (output, last) {
        (Output::Screen, last) => output.frame(&whole(), last.is_none()),
        (Output::Changes, None) => whole(),
        (Output::Changes, Some(last)) => {
            let lines = now.changes(last).into_iter();
            lines.map(|line| format!("{} {line}\n", second())).collect()
        }
        (Output::Json, Some(last)) if last == now => String::new(),
        (Output::Json, _) => format!("{}\n", json(now, false)?),
    })
}
