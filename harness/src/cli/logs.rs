//! `logs`: what the containers wrote.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use futures_util::StreamExt;
use futures_util::stream::select_all;
use harness::error::Error;
use harness::interrupt::Interrupts;
use harness::runtime::{Container, Docker, label};
use owo_colors::{AnsiColors, OwoColorize};

const COLORS: [AnsiColors; 5] = [
    AnsiColors::Cyan,
    AnsiColors::Yellow,
    AnsiColors::Green,
    AnsiColors::Magenta,
    AnsiColors::Blue,
];

pub(super) async fn run(
    project: &str,
    name: Option<&str>,
    tail: Option<usize>,
    follow: bool,
    interrupts: &Interrupts,
) -> Result<ExitCode, Error> {
    let docker = Docker::connect().await?;
    let all = docker
        .containers(&format!("{}={project}", label::PROJECT))
        .await?;
    let chosen = choose(&all, project, name)?;
    let width = chosen
        .iter()
        .map(|container| container.name.len())
        .max()
        .unwrap_or_default();
    let color = std::io::stdout().is_terminal();
    let streams = chosen.iter().enumerate().map(|(i, container)| {
        let prefix = format!("{:width$} |", container.name);
        let prefix = if color {
            prefix.color(COLORS[i % COLORS.len()]).to_string()
        } else {
            prefix
        };
        docker
            .logs(&container.id, tail, follow)
            .map(move |line| (prefix.clone(), line))
            .boxed()
    });
    let mut lines = select_all(streams);
    while let Some(Some((prefix, line))) = interrupts.stop.run_until_cancelled(lines.next()).await {
        if writeln!(std::io::stdout(), "{prefix} {}", line?.text).is_err() {
            // The reader has gone, for instance `head`.
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn choose<'a>(all: &'a [Container], project: &str, name: Option<&str>) -> Result<Vec<&'a Container>, Error> {
    if all.is_empty() {
        let advice = "start it with `cargo run -p harness`";
        return Err(Error::environment(
            format!("there is no mesh `{project}`"),
            advice,
        ));
    }
    let Some(name) = name else {
        return Ok(all.iter().collect());
    };
    let named = |container: &&Container| {
        container.name == name || container.label(label::SERVICE) == name || container.short_id() == name
    };
    let found: Vec<_> = all.iter().filter(named).collect();
    if found.is_empty() {
        let names: Vec<&str> = all
            .iter()
            .map(|container| container.label(label::SERVICE))
            .collect();
        let advice = format!("name one of {}", names.join(", "));
        return Err(Error::environment(
            format!("the mesh `{project}` has no container `{name}`"),
            advice,
        ));
    }
    Ok(found)
}
