//! `logs`: what the containers wrote.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, select_all};
use futures_util::{Stream, StreamExt, TryStreamExt};
use harness::error::Error;
use harness::interrupt::Interrupts;
use harness::runtime::{Choice, Container, Runtime, RuntimeError, label};
use owo_colors::{AnsiColors, OwoColorize};

const COLORS: [AnsiColors; 5] = [
    AnsiColors::Cyan,
    AnsiColors::Yellow,
    AnsiColors::Green,
    AnsiColors::Magenta,
    AnsiColors::Blue,
];

/// Time between two looks whether a container that has ended runs again.
const PERIOD: Duration = Duration::from_millis(250);

/// What the user wants of `logs`.
pub(super) struct Wish<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) tail: Option<usize>,
    pub(super) follow: bool,
    pub(super) timestamps: bool,
}

/// A line, when it was written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    /// RFC 3339 in UTC with nine digits, so that the order of texts is the order of times.
    at: String,
    text: String,
    /// The container's place in the list.
    from: usize,
}

type Lines<'a> = BoxStream<'a, Result<Line, Error>>;

pub(super) async fn run(
    project: &str,
    choice: Choice,
    wish: Wish<'_>,
    interrupts: &Interrupts,
) -> Result<ExitCode, Error> {
    let chosen = choice.connect_to(project).await?;
    let runtime = chosen.runtime.clone();
    let all = runtime
        .containers(&format!("{}={project}", label::PROJECT))
        .await?;
    if all.is_empty() {
        return Err(chosen.nothing_of(project));
    }
    let chosen = choose(&all, project, wish.name)?;
    let width = chosen
        .iter()
        .map(|container| container.name.len())
        .max()
        .unwrap_or_default();
    let color = std::io::stdout().is_terminal();
    let prefixes: Vec<String> = chosen
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
    let streams = chosen.iter().enumerate().map(|(from, container)| {
        if wish.follow {
            followed(&runtime, &container.id, from, wish.tail)
        } else {
            once(&runtime, &container.id, from, wish.tail, false)
        }
    });
    let mut lines = if wish.follow {
        select_all(streams).boxed()
    } else {
        merged(streams.collect()).boxed()
    };
    while let Some(Some(line)) = interrupts.stop.run_until_cancelled(lines.next()).await {
        let Line { at, text, from } = line?;
        let at = if wish.timestamps {
            format!("{at} ")
        } else {
            String::new()
        };
        if writeln!(std::io::stdout(), "{} {at}{text}", prefixes[from]).is_err() {
            // The reader has gone, for instance `head`.
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One container's lines until it ends, or only those that are there.
fn once<'a>(runtime: &Runtime, id: &str, from: usize, tail: Option<usize>, follow: bool) -> Lines<'a> {
    let lines = runtime.dated_logs(id, tail, follow);
    lines
        .map(move |line| Ok(dated(&line?.text, from)))
        // Empty lines are not shown.
        .try_filter(|line| std::future::ready(!line.text.is_empty()))
        .boxed()
}

/// One container's lines for as long as there is that container, through all its ends and starts.
fn followed<'a>(runtime: &'a Runtime, id: &'a str, from: usize, tail: Option<usize>) -> Lines<'a> {
    let first = (once(runtime, id, from, tail, true), String::new());
    stream::try_unfold(first, move |(mut lines, mut last)| async move {
        loop {
            match lines.next().await.transpose()? {
                // After a new start the engine tells all of it again.
                Some(line) if line.at <= last => {}
                Some(line) => {
                    last.clone_from(&line.at);
                    return Ok(Some((line, (lines, last))));
                }
                None => {
                    if !runs_again(runtime, id).await? {
                        return Ok(None);
                    }
                    let tail = if last.is_empty() { tail } else { None };
                    lines = once(runtime, id, from, tail, true);
                }
            }
        }
    })
    .boxed()
}

/// Waits until the container runs again; false where it has been removed.
async fn runs_again(runtime: &Runtime, id: &str) -> Result<bool, Error> {
    loop {
        // First, so that a log that ends at once is not asked for without a pause.
        tokio::time::sleep(PERIOD).await;
        match runtime.container(id).await {
            Ok(container) if container.running() => return Ok(true),
            Ok(_) => {}
            Err(RuntimeError::Missing { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The lines of all in the order of their times; each stream's own order is kept.
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
            .min_by(|a, b| at(a).cmp(at(b)));
        let line = earliest.and_then(Option::take);
        Ok(line.map(|line| (line, (all, heads))))
    })
}

fn at(head: &Option<Line>) -> &str {
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
        let advice = format!("name one of {}", names.join(", "));
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
        let told: Vec<(usize, &str)> = lines.iter().map(|line| (line.from, line.text.as_str())).collect();
        assert_eq!(
            told,
            [(0, "a"), (2, "e"), (2, "f"), (0, "b c"), (0, "d"), (2, "g")]
        );
    }
}
