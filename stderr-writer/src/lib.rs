//! Standard error for programs that must not wait for its reader: a full pipe, a terminal stopped with Ctrl-S.
//!
//! A thread writes the lines. They wait for it in a buffer of [`BUFFER`] bytes; lines for which there is no room are
//! dropped and counted. Only the thread ever blocks.

mod queue;

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use queue::{Entry, Queue};

/// Size of the buffer. The thread holds one line more.
pub const BUFFER: usize = 1024 * 1024;

/// Age from which the write of a line counts as stalled: nobody reads. At the end of the program such lines are lost.
const STALLED: Duration = Duration::from_millis(250);
/// Timeout for writing what is left at the end of the program, even if the reader makes progress.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause after standard error failed, for instance because its disk is full.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Pause if standard error is full and does not block, because another process that shares it has set that.
const FULL_PAUSE: Duration = Duration::from_millis(10);

/// Standard error without waiting. One call of [`Write::write`] takes one line. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StderrWriter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// There is something to write.
    filled: Condvar,
    /// Everything is written.
    drained: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug)]
struct State {
    queue: Queue,
    /// When the thread began to write its current entry.
    writing_since: Option<Instant>,
}

impl StderrWriter {
    /// Starts the thread. Where lines were dropped, it calls `report` with their number, which may write to
    /// [`BlockingStderr`].
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(report: impl Fn(u64) + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                queue: Queue::new(BUFFER),
                writing_since: None,
            }),
            filled: Condvar::new(),
            drained: Condvar::new(),
            dropped: AtomicU64::new(0),
        });
        let written = Arc::clone(&shared);
        // Detached: a write may never return, and must not keep the process.
        thread::Builder::new()
            .name("stderr".to_owned())
            .spawn(move || written.write_all(report))?;
        Ok(Self(shared))
    }

    /// Number of lines dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Whether nobody reads: the thread has not finished a line for 250 ms.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.0.state().is_stalled()
    }

    /// Waits until everything is written; at most 1 s, and not for a reader that does not read.
    pub fn finish(&self) {
        let deadline = Instant::now() + FINISH_TIMEOUT;
        let mut state = self.0.state();
        while !state.is_drained() && !state.is_stalled() && Instant::now() < deadline {
            let waited = self.0.drained.wait_timeout(state, FULL_PAUSE);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Write for StderrWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !self.0.state().queue.push(line) {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.0.filled.notify_one();
        Ok(line.len())
    }

    /// Does nothing: see [`StderrWriter::finish`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes everything, forever.
    fn write_all(&self, report: impl Fn(u64)) {
        loop {
            match self.next() {
                // Cannot fail.
                Entry::Line(line) => drop(BlockingStderr.write_all(&line)),
                Entry::Dropped(lines) => report(lines),
            }
        }
    }

    /// Waits for an entry and takes it.
    fn next(&self) -> Entry {
        let mut state = self.state();
        loop {
            if let Some(entry) = state.queue.pop() {
                state.writing_since = Some(Instant::now());
                return entry;
            }
            state.writing_since = None;
            self.drained.notify_all();
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl State {
    fn is_drained(&self) -> bool {
        self.writing_since.is_none() && self.queue.is_empty()
    }

    fn is_stalled(&self) -> bool {
        self.writing_since.is_some_and(|since| since.elapsed() > STALLED)
    }
}

/// Standard error that waits and retries until everything is written; only for `report` in [`StderrWriter::start`].
#[derive(Debug, Clone, Copy)]
pub struct BlockingStderr;

impl Write for BlockingStderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match io::stderr().write(bytes) {
                Ok(count) if count > 0 || bytes.is_empty() => return Ok(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::park_timeout(FULL_PAUSE),
                _ => thread::park_timeout(RETRY_PAUSE),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
