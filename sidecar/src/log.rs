//! The log: lines on standard error, for people or for machines.

use std::ffi::OsStr;
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
        LogFormat::Text => {
            let forbidden = std::env::var_os("NO_COLOR");
            let colored = colored(std::io::stderr().is_terminal(), forbidden.as_deref());
            lines.with_ansi(colored).boxed()
        }
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

/// By the custom of <https://no-color.org>, a variable that is empty says nothing.
fn colored(terminal: bool, no_color: Option<&OsStr>) -> bool {
    terminal && no_color.is_none_or(OsStr::is_empty)
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

    #[test]
    fn there_are_colours_only_on_a_terminal_whose_user_has_not_forbidden_them() {
        assert!(colored(true, None));
        assert!(colored(true, Some(OsStr::new(""))));
        assert!(!colored(true, Some(OsStr::new("1"))));
        assert!(!colored(false, None));
    }
}
