//! The log: lines of text or JSON on standard error.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// Plain text.
    #[default]
    Text,
    /// A JSON object.
    Json,
}

/// Starts logging. RUST_LOG selects targets and levels: `debug`, or `info,sidecar::mesh=debug`. The default is `info`; a value
/// that cannot be parsed is reported and replaced by it.
pub fn init(format: LogFormat) {
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
        .with(lines(format))
        .init();
    if let Some((text, error)) = invalid {
        tracing::warn!(
            "RUST_LOG={text} is not understood ({error}); expected levels such as debug or sidecar::mesh=debug"
        );
    }
}

/// Logs why the process fails, even if RUST_LOG filters errors out.
pub fn failure(format: LogFormat, error: &anyhow::Error) {
    match format {
        #[expect(clippy::print_stderr, reason = "the one place that prints a failure")]
        LogFormat::Text => eprintln!("sidecar: {error:#}"),
        LogFormat::Json => {
            let unfiltered = tracing_subscriber::registry().with(lines(format));
            tracing::subscriber::with_default(unfiltered, || tracing::error!("{error:#}"));
        }
    }
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
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
