//! The log: lines of text or JSON on standard error. Logging never waits for the reader, and nothing that repeats
//! itself floods it.

mod repeats;
mod suppress;

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

use anyhow::Context;
use stderr_writer::{BlockingStderr, StderrWriter};
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use self::repeats::Ended;
use self::suppress::Suppress;

/// Format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// Plain text.
    #[default]
    Text,
    /// A JSON object.
    Json,
}

/// The thread that writes the log; set by [`init`].
static WRITER: OnceLock<StderrWriter> = OnceLock::new();

/// Starts logging. RUST_LOG selects targets and levels: `debug`, or `info,sidecar::mesh=debug`. The default is `info`; a value
/// that cannot be parsed is reported and replaced by it.
///
/// # Errors
/// The thread that writes the log cannot be started.
pub fn init(format: LogFormat) -> anyhow::Result<()> {
    let dropped = move |lines| {
        unfiltered(lines_to(format, || BlockingStderr), || {
            tracing::warn!("{lines} lines were dropped, because standard error was not read");
        });
    };
    let writer = StderrWriter::start(dropped).context("cannot start the thread that writes the log")?;
    // Called once.
    let _ = WRITER.set(writer);
    let filter = std::env::var("RUST_LOG")
        .ok()
        .filter(|text| !text.trim().is_empty())
        .map(|text| parse_filter(&text).map_err(|e| (text, e)));
    let (filter, invalid) = match filter {
        None => (info(), None),
        Some(Ok(targets)) => (targets, None),
        Some(Err(invalid)) => (info(), Some(invalid)),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(Suppress)
        .with(lines_to(format, writer_or_stderr))
        .init();
    // The default hook would wait for standard error.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    if let Some((text, error)) = invalid {
        tracing::warn!(
            "RUST_LOG={text} is not understood ({error}); expected levels such as debug or sidecar::mesh=debug"
        );
    }
    Ok(())
}

/// Logs why the process fails, even if RUST_LOG filters errors out.
pub fn failure(format: LogFormat, error: &anyhow::Error) {
    match format {
        // One write is one line. An error is ignored: the exit code remains.
        LogFormat::Text => drop(writer_or_stderr().write_all(format!("sidecar: {error:#}\n").as_bytes())),
        LogFormat::Json => unfiltered(lines_to(format, writer_or_stderr), || {
            tracing::error!("{error:#}");
        }),
    }
}

/// Logs the number of repetitions of each warning when they cease, until cancelled.
pub async fn report_repetitions(format: LogFormat) {
    suppress::report_ended(|ended| repetitions(format, ended)).await;
}

/// Ends the log: waits at most 1 s until it is written, and not at all if nobody reads it.
pub fn finish(format: LogFormat) {
    suppress::end_all()
        .iter()
        .for_each(|ended| repetitions(format, ended));
    if let Some(writer) = WRITER.get() {
        writer.finish();
    }
}

/// Number of lines dropped so far because standard error was not read.
pub fn dropped_lines() -> u64 {
    WRITER.get().map_or(0, StderrWriter::dropped)
}

fn repetitions(format: LogFormat, ended: &Ended) {
    let Ended {
        warning,
        repeated,
        lasted,
    } = ended;
    let (text, seconds) = (&warning.text, lasted.as_secs());
    unfiltered(lines_to(format, writer_or_stderr), || {
        if warning.level == Level::ERROR {
            tracing::error!(repeated, seconds, "{text}");
        } else {
            tracing::warn!(repeated, seconds, "{text}");
        }
    });
}

/// Logs warnings and errors to `lines` only, without regard to RUST_LOG.
fn unfiltered(lines: impl Layer<Registry> + Send + Sync, log: impl FnOnce()) {
    // The level keeps the debug events of the other threads as cheap as they are.
    let lines = tracing_subscriber::registry().with(lines).with(LevelFilter::WARN);
    tracing::subscriber::with_default(lines, log);
}

/// The buffered writer; before [`init`], standard error itself.
fn writer_or_stderr() -> Box<dyn Write> {
    match WRITER.get() {
        Some(writer) => Box::new(writer.clone()),
        None => Box::new(std::io::stderr()),
    }
}

/// Writes lines in this format.
fn lines_to<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        // Coloured unless NO_COLOR is set.
        LogFormat::Text if std::io::stderr().is_terminal() => lines.boxed(),
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    }
}

/// Parses RUST_LOG. Rejects a value with neither a default level nor one of our targets: the parser takes a misspelt
/// level for a target, which would silence the whole log.
fn parse_filter(text: &str) -> Result<Targets, String> {
    let targets: Targets = text
        .parse()
        .map_err(|error: tracing_subscriber::filter::ParseError| error.to_string())?;
    let ours = env!("CARGO_PKG_NAME");
    if targets.default_level().is_none() && !targets.iter().any(|(target, _)| target.starts_with(ours)) {
        return Err("it names no level and no part of the sidecar".to_owned());
    }
    Ok(targets)
}

fn info() -> Targets {
    Targets::new().with_default(LevelFilter::INFO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_would_silence_the_sidecar_is_rejected() {
        for text in [
            "debug",
            "off",
            "0",
            "info,sidecar::mesh=debug",
            "sidecar",
            "sidecar=warn",
            "hyper=debug,warn",
        ] {
            assert!(parse_filter(text).is_ok(), "{text}");
        }
        for text in ["wran", "hyper=debug", "sidecar=wran", "[["] {
            assert!(parse_filter(text).is_err(), "{text}");
        }
    }
}
