//! Suppresses repeated warnings: of each spell the first is logged at once, and at its end the number of the others.
//! All warnings and errors of the program pass through here, so that no peer, no traffic and no shortage can flood the
//! log.

use std::fmt::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::repeats::{Ended, Repeats, Warning};

/// Fields that say what a warning is about. Warnings that differ in one are not repetitions of each other; those that
/// differ in others, such as the client's port, are.
const SUBJECTS: [&str; 7] = ["node", "why", "service", "group", "server", "listener", "file"];

/// Longest text of a warning, in bytes, by which repetitions are recognised.
const MAX_TEXT: usize = 512;

/// The process has one log, and therefore one set of spells.
static REPEATS: Mutex<Repeats> = Mutex::new(Repeats::new());
/// A spell has begun.
static BEGUN: Notify = Notify::const_new();

/// The layer. [`report_ended`] must run beside it.
#[derive(Debug)]
pub(super) struct Suppress;

impl<S: Subscriber> Layer<S> for Suppress {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::WARN {
            return true;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let warning = Warning {
            level: *metadata.level(),
            target: metadata.target(),
            text: text.0,
        };
        let first = repeats().occurred(warning, Instant::now());
        if first {
            BEGUN.notify_one();
        }
        first
    }
}

/// Passes the spells that have ended to `report`, until cancelled.
pub(super) async fn report_ended(report: impl Fn(&Ended)) {
    loop {
        let next = repeats().next_end();
        match next {
            Some(end) => tokio::time::sleep_until(end.into()).await,
            None => BEGUN.notified().await,
        }
        let ended = repeats().ended(Instant::now());
        ended.iter().for_each(&report);
    }
}

/// Ends all spells.
pub(super) fn end_all() -> Vec<Ended> {
    repeats().end_all()
}

fn repeats() -> MutexGuard<'static, Repeats> {
    REPEATS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The message and the subjects of a warning, up to [`MAX_TEXT`] bytes.
#[derive(Debug, Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Fails at the limit, which truncates the text.
        let _ = match field.name() {
            "message" => write!(self, "{value:?}"),
            name if SUBJECTS.contains(&name) => write!(self, " {name}={value:?}"),
            _ => Ok(()),
        };
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = MAX_TEXT - self.0.len();
        self.0.push_str(&part[..part.floor_char_boundary(room)]);
        if part.len() > room {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}
