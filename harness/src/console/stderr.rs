//! Standard error, for progress and messages. Nobody waits for it: a terminal stopped with Ctrl-S, or a full pipe, must not
//! keep a run from removing its mesh.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use indicatif::TermLike;
use stderr_writer::{BlockingStderr, StderrWriter};

use super::wrap::wrapped;

/// The thread that writes; set by [`start`].
static WRITER: OnceLock<StderrWriter> = OnceLock::new();

/// Width of a terminal that does not tell its own, in columns.
const DEFAULT_WIDTH: u16 = 80;

/// Starts the thread that writes.
///
/// # Errors
/// The thread cannot be started.
pub fn start() -> io::Result<()> {
    let writer = StderrWriter::start(|lines| {
        // Cannot fail.
        let _ = writeln!(
            BlockingStderr,
            "harness: {lines} lines were dropped, because standard error was not read"
        );
    })?;
    // Called once.
    let _ = WRITER.set(writer);
    // The default hook would wait for standard error.
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        line(&format!(
            "thread '{}' {panic}",
            thread.name().unwrap_or("unnamed")
        ));
    }));
    Ok(())
}

/// Prints a line; errors are ignored.
pub fn line(text: &str) {
    write(&format!("{text}\n"));
}

/// Prints text, wrapped between words if it is wider than the terminal; errors are ignored.
pub fn paragraph(text: &str) {
    if io::stderr().is_terminal() {
        line(&wrapped(text, usize::from(width()), 2));
    } else {
        line(text);
    }
}

/// The terminal's width in columns.
pub(super) fn width() -> u16 {
    let size = rustix::termios::tcgetwinsize(io::stderr());
    size.map(|size| size.ws_col)
        .ok()
        .filter(|width| *width > 0)
        .unwrap_or(DEFAULT_WIDTH)
}

/// Waits at most 1 s until everything is written, and not at all if nobody reads it.
pub fn finish() {
    if let Some(writer) = WRITER.get() {
        writer.finish();
    }
}

fn write(text: &str) {
    // Fails only before `start`.
    let _ = match WRITER.get() {
        Some(writer) => writer.clone().write_all(text.as_bytes()),
        None => io::stderr().write_all(text.as_bytes()),
    };
}

/// The terminal on standard error, for indicatif. Leaves out what it would draw while nobody reads.
#[derive(Debug, Default)]
pub(super) struct Terminal {
    /// What is drawn with the next flush.
    frame: Mutex<String>,
}

impl Terminal {
    fn push(&self, text: &str) -> io::Result<()> {
        self.frame
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_str(text);
        Ok(())
    }

    /// Moves the cursor, by an escape sequence of ECMA-48.
    fn moved(&self, count: usize, direction: char) -> io::Result<()> {
        if count > 0 {
            self.push(&format!("\x1b[{count}{direction}"))?;
        }
        Ok(())
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        width()
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.push(text)?;
        self.push("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.push(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.push("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let frame = std::mem::take(&mut *self.frame.lock().unwrap_or_else(PoisonError::into_inner));
        if !frame.is_empty() && !WRITER.get().is_some_and(StderrWriter::is_stalled) {
            write(&frame);
        }
        Ok(())
    }
}
