//! `logs`: the containers' logs, merged by time.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, select_all};
use futures_util::{Stream, StreamExt, TryStreamExt};
use harness::clock;
use harness::console::colored;
use harness::engine::{Container, Engine, EngineError, LogOptions, label};
use harness::error::Error;
use harness::interrupt::Interrupts;
use owo_colors::{AnsiColors, OwoColorize};

use super::file_args::FileArgs;
use super::mesh_args::MeshArgs;
use super::output;
use super::project as user_project;

const COLORS: [AnsiColors; 5] = [
    AnsiColors::Cyan,
    AnsiColors::Yellow,
    AnsiColors::Green,
    AnsiColors::Magenta,
    AnsiColors::Blue,
];

/// Polling interval for the restart of an exited container.
const PERIOD: Duration = Duration::from_millis(250);

#[derive(Debug, clap::Args)]
pub(super) struct LogsArgs {
    /// Service or container, such as service-a2 or example-lb [default: all]
    #[arg(value_name = "NAME")]
    node: Option<String>,
    /// Keep printing new lines
    #[arg(short, long)]
    follow: bool,
    /// Print only the last LINES lines of each container
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<usize>,
    /// Print the time of each line; of one that begins with a time, that time alone
    #[arg(short, long)]
    timestamps: bool,
    #[command(flatten)]
    mesh: MeshArgs,
}

/// One log line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    /// RFC 3339 in UTC with nine digits, so that texts sort by time.
    at: String,
    text: String,
    /// Index of its container.
    from: usize,
}

type Lines<'a> = BoxStream<'a, Result<Line, Error>>;

pub(super) async fn run(
    args: LogsArgs,
    before: MeshArgs,
    files: FileArgs,
    interrupts: &Interrupts,
) -> Result<ExitCode, Error> {
    let mesh = args.mesh.or(before);
    if let Some(files) = files.project()? {
        let mut flags: Vec<String> = Vec::new();
        flags.extend(args.follow.then(|| "--follow".to_owned()));
        flags.extend(args.timestamps.then(|| "--timestamps".to_owned()));
        flags.extend(args.tail.map(|lines| format!("--tail={lines}")));
        flags.extend(args.node);
        return user_project::logs(files, mesh, flags, interrupts).await;
    }
    let (topology, located) = mesh.locate().await?;
    let engine = &located.selected.engine;
    let all = &located.resources.containers;
    if all.is_empty() {
        return Err(located.not_found(&topology).await?);
    }
    let containers = choose(all, &topology.project, args.node.as_deref())?;
    let width = containers
        .iter()
        .map(|container| container.name.len())
        .max()
        .unwrap_or_default();
    let color = colored(std::io::stdout().is_terminal());
    let prefixes: Vec<String> = containers
        .iter()
        .enumerate()
        .map(|(i, container)| {
            let prefix = format!("{:width$} |", container.name);
            if color {
                prefix.color(COLORS[i % COLORS.len()]).to_string()
            } else {
                prefix
            }
        })
        .collect();
    let format_line = |Line { at, text, from }: Line| {
        let time = if args.timestamps {
            missing_time(&at, &text)
        } else {
            None
        };
        let space = time.map_or("", |_| " ");
        format!("{} {}{space}{text}", prefixes[from], time.unwrap_or_default())
    };
    if !args.follow {
        let streams = containers.iter().enumerate();
        let streams = streams.map(|(from, container)| once(engine, &container.id, from, args.tail, false));
        print(merged(streams.collect()), format_line, interrupts).await?;
        return Ok(ExitCode::SUCCESS);
    }
    // First prints the existing lines merged by time, then new lines as they arrive. The end of the existing lines is
    // taken before following starts, so that following passes it.
    let mut ends = Vec::new();
    for container in &containers {
        ends.push(match args.tail {
            Some(0) => None,
            _ => last_time(engine, &container.id).await?,
        });
    }
    let mut streams: Vec<Lines> = containers
        .iter()
        .enumerate()
        .map(|(from, container)| followed(engine, &container.id, from, args.tail))
        .collect();
    let existing = streams.iter_mut().zip(ends);
    let existing = merged(existing.map(|(lines, end)| up_to(lines, end)).collect());
    if print(existing, &format_line, interrupts).await? {
        print(select_all(streams), format_line, interrupts).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints all lines. Returns whether there may be a next stream: not after an interruption or a closed output.
async fn print(
    lines: impl Stream<Item = Result<Line, Error>>,
    format_line: impl Fn(Line) -> String,
    interrupts: &Interrupts,
) -> Result<bool, Error> {
    let mut lines = std::pin::pin!(lines);
    loop {
        let Some(line) = interrupts.stop.run_until_cancelled(lines.next()).await else {
            return Ok(false);
        };
        let Some(line) = line.transpose()? else {
            return Ok(true);
        };
        if !output::print(format_line(line) + "\n", interrupts).await? {
            return Ok(false);
        }
    }
}

/// The time of a container's last existing line.
async fn last_time(engine: &Engine, id: &str) -> Result<Option<String>, Error> {
    let last = once(engine, id, 0, Some(1), false).next().await.transpose()?;
    Ok(last.map(|line| line.at))
}

/// Takes the lines up to the first one at `end` or later; leaves the rest in `lines`.
fn up_to<'a>(lines: &'a mut Lines<'_>, end: Option<String>) -> Lines<'a> {
    stream::try_unfold((lines, end), |(lines, end)| async move {
        let Some(end) = end else {
            return Ok(None);
        };
        let line = lines.next().await.transpose()?;
        Ok(line.map(|line| {
            let end = (line.at < end).then_some(end);
            (line, (lines, end))
        }))
    })
    .boxed()
}

/// One container's existing lines or, with `follow`, its lines until it exits. Skips empty lines.
fn once<'a>(engine: &Engine, id: &str, from: usize, tail: Option<usize>, follow: bool) -> Lines<'a> {
    let options = LogOptions {
        tail,
        follow,
        timestamps: true,
    };
    let lines = engine.logs(id, options);
    lines
        .map(move |line| Ok(dated(&line?.text, from)))
        .try_filter(|line| std::future::ready(!line.text.is_empty()))
        .boxed()
}

/// One container's lines until it is removed, across restarts.
fn followed<'a>(engine: &'a Engine, id: &'a str, from: usize, tail: Option<usize>) -> Lines<'a> {
    let first = (once(engine, id, from, tail, true), String::new());
    stream::try_unfold(first, move |(mut lines, mut last)| async move {
        loop {
            match lines.next().await.transpose()? {
                // After a restart the engine sends the whole log again.
                Some(line) if line.at <= last => {}
                Some(line) => {
                    last.clone_from(&line.at);
                    return Ok(Some((line, (lines, last))));
                }
                None => {
                    if !runs_again(engine, id).await? {
                        return Ok(None);
                    }
                    let tail = if last.is_empty() { tail } else { None };
                    lines = once(engine, id, from, tail, true);
                }
            }
        }
    })
    .boxed()
}

/// Waits until the container is running again; returns false if it has been removed.
async fn runs_again(engine: &Engine, id: &str) -> Result<bool, Error> {
    loop {
        // Sleeps first, so that a log that ends at once is not polled without a pause.
        tokio::time::sleep(PERIOD).await;
        match engine.container(id).await {
            Ok(container) if container.running() => return Ok(true),
            Ok(_) => {}
            Err(EngineError::Missing { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Merges streams by time; keeps each stream's own order.
fn merged<'a>(streams: Vec<Lines<'a>>) -> impl Stream<Item = Result<Line, Error>> + use<'a> {
    let heads: Vec<Option<Line>> = vec![None; streams.len()];
    let all: Vec<Option<Lines<'a>>> = streams.into_iter().map(Some).collect();
    stream::try_unfold((all, heads), |(mut all, mut heads)| async move {
        for (stream, head) in all.iter_mut().zip(&mut heads) {
            if let (Some(lines), None) = (stream.as_mut(), head.as_ref()) {
                *head = lines.next().await.transpose()?;
                if head.is_none() {
                    *stream = None;
                }
            }
        }
        let earliest = heads
            .iter_mut()
            .filter(|head| head.is_some())
            .min_by(|a, b| time_of(a).cmp(time_of(b)));
        let line = earliest.and_then(Option::take);
        Ok(line.map(|line| (line, (all, heads))))
    })
}

fn time_of(head: &Option<Line>) -> &str {
    head.as_ref().map_or("", |line| &line.at)
}

fn dated(text: &str, from: usize) -> Line {
    let (at, text) = text.split_once(' ').unwrap_or((text, ""));
    Line {
        at: at.to_owned(),
        text: text.to_owned(),
        from,
    }
}

/// The time `at` of a line, which the engine gave it, if the line itself does not begin with one.
fn missing_time<'a>(at: &'a str, text: &str) -> Option<&'a str> {
    let first = text.split(' ').next().unwrap_or_default();
    clock::parse(first).is_none().then_some(at)
}

fn choose<'a>(all: &'a [Container], project: &str, name: Option<&str>) -> Result<Vec<&'a Container>, Error> {
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
        let advice = format!("use one of {}", names.join(", "));
        return Err(Error::environment(
            format!("the mesh `{project}` has no container `{name}`"),
            advice,
        ));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_merged_by_their_times() {
        let log = |from: usize, lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| Ok(dated(line, from))).collect();
            stream::iter(lines).boxed()
        };
        let all = vec![
            log(0, &["1 a", "4 b c", "5 d"]),
            log(1, &[]),
            log(2, &["2 e", "3 f", "6 g"]),
        ];
        let lines: Vec<Line> = merged(all).try_collect().await.unwrap();
        let merged: Vec<(usize, &str)> = lines.iter().map(|line| (line.from, line.text.as_str())).collect();
        assert_eq!(
            merged,
            [(0, "a"), (2, "e"), (2, "f"), (0, "b c"), (0, "d"), (2, "g")]
        );
    }

    #[test]
    fn a_line_that_begins_with_a_time_gets_no_second_one() {
        let at = "2026-11-24T05:38:07.123456789Z";
        assert_eq!(
            missing_time(at, "2026-11-24T05:38:07.123456Z  INFO sidecar: ready"),
            None
        );
        for text in [
            "listening on port 80",
            "",
            "{\"timestamp\":\"2026-11-24T05:38:07.123456Z\"}",
        ] {
            assert_eq!(missing_time(at, text), Some(at), "{text}");
        }
    }

    #[tokio::test]
    async fn existing_lines_are_merged_before_new_lines_are_followed() {
        let log = |from: usize, lines: &[&str]| -> Lines<'static> {
            let lines: Vec<_> = lines.iter().map(|line| Ok(dated(line, from))).collect();
            // A followed log has no end.
            stream::iter(lines).chain(stream::pending()).boxed()
        };
        let mut all = [
            log(0, &["1 a", "4 b", "7 later"]),
            log(1, &["2 c", "3 d"]),
            log(2, &[]),
        ];
        let ends = [Some("4"), Some("3"), None];
        let existing = all.iter_mut().zip(ends);
        let existing = existing.map(|(lines, end)| up_to(lines, end.map(str::to_owned)));
        let existing: Vec<Line> = merged(existing.collect()).try_collect().await.unwrap();
        let texts: Vec<&str> = existing.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["a", "c", "d", "b"]);
        let next = select_all(all).next().await.unwrap().unwrap();
        assert_eq!(next.text, "later");
    }
}
