//! The log: lines on standard error, for people or for machines.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// What a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// Text, for people.
    #[default]
    Text,
    /// A JSON object, for machines.
    Json,
}

/// Begins to log. RUST_LOG says what, as targets and levels: `debug`, or `info,sidecar::mesh=debug`; without it, or
/// where it says nothing that can be understood, it is `info`, and the latter is said.
pub fn init(format: LogFormat) {
    let asked = std::env::var("RUST_LOG")
        .ok()
        .filter(|text| !text.trim().is_empty())
        .map(|text| asked_for(&text).map_err(|e| (text, e)));
    let (filter, misunderstood) = match asked {
        None => (info(), None),
        Some(Ok(targets)) => (targets, None),
        Some(Err(fault)) => (info(), Some(fault)),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines(format))
        .init();
    if let Some((text, error)) = misunderstood {
        tracing::warn!(
            "RUST_LOG={text} is not understood ({error}); expected levels such as debug or sidecar::mesh=debug"
        );
    }
}

/// Tells why the program ends: also where the log is to leave out errors, and to machines as a line of theirs.
pub fn failure(format: LogFormat, error: &anyhow::Error) {
    match format {
        #[expect(
            clippy::print_stderr,
            reason = "the one place where a failure is told to people"
        )]
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
        // Coloured, but where NO_COLOR asks for none.
        LogFormat::Text if std::io::stderr().is_terminal() => lines.boxed(),
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    }
}

/// What RUST_LOG asks for. A word that is no level is taken for a target that has nothing to say, so that a misspelt
/// level would silence all there is.
fn asked_for(text: &str) -> Result<Targets, String> {
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
    fn what_says_nothing_of_the_sidecar_is_not_understood() {
        for text in [
            "debug",
            "off",
            "0",
            "info,sidecar::mesh=debug",
            "sidecar",
            "sidecar=warn",
            "hyper=debug,warn",
        ] {
            assert!(asked_for(text).is_ok(), "{text}");
        }
        for text in ["wran", "hyper=debug", "sidecar=wran", "[["] {
            assert!(asked_for(text).is_err(), "{text}");
        }
    }
}
