//! Pipes, through which the kernel moves the bytes of long flows from socket to socket without copying (splice(2)).

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use crate::limits::{BUDGET, Descriptors};

/// Capacity of a pipe in bytes, and thus the most that a flow holds for a slow receiver.
const CAPACITY: usize = 256 * 1024;

/// Maximum number of pipes of the process. Flows without a pipe are copied.
const MAX_PIPES: usize = 256;

/// Descriptors of a pipe.
const DESCRIPTORS: u32 = 2;

/// Maximum number of empty pipes that a thread keeps for reuse.
const MAX_IDLE_PER_THREAD: usize = 4;

static PIPES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static EMPTY: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

/// A pipe with the bytes of one flow in it.
#[derive(Debug)]
pub(super) struct Pipe {
    entrance: OwnedFd,
    exit: OwnedFd,
    held: usize,
    _descriptors: Descriptors,
}

impl Pipe {
    /// An empty pipe; `None` if there are [`MAX_PIPES`] already or no descriptors.
    pub(super) fn take() -> Option<Self> {
        EMPTY.with_borrow_mut(Vec::pop).or_else(Self::open)
    }

    fn open() -> Option<Self> {
        let descriptors = BUDGET.try_relayed(DESCRIPTORS)?;
        let count = |count| (count < MAX_PIPES).then_some(count + 1);
        PIPES
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, count)
            .ok()?;
        let Ok((exit, entrance)) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK) else {
            PIPES.fetch_sub(1, Ordering::Relaxed);
            return None;
        };
        // On failure it keeps the default capacity.
        let _ = fcntl_setpipe_size(&entrance, CAPACITY);
        Some(Self {
            entrance,
            exit,
            held: 0,
            _descriptors: descriptors,
        })
    }

    /// Returns an empty pipe for reuse.
    pub(super) fn give_back(self) {
        EMPTY.with_borrow_mut(|empty| {
            if self.held == 0 && empty.len() < MAX_IDLE_PER_THREAD {
                empty.push(self);
            }
        });
    }

    /// Number of bytes in it.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Moves the socket's available bytes into the pipe. Returns 0 if only a read makes progress: at the end of the
    /// stream, and before an urgent byte. Call it on an empty pipe: then "would block" is about the socket.
    pub(super) fn fill(&mut self, source: impl AsFd) -> io::Result<usize> {
        let taken = match moved(&source, &self.entrance, CAPACITY) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && can_be_read(&source) => 0,
            outcome => outcome?,
        };
        self.held += taken;
        Ok(taken)
    }

    /// Moves its bytes to the socket, as many as the socket takes.
    pub(super) fn drain(&mut self, sink: impl AsFd) -> io::Result<usize> {
        let taken = moved(&self.exit, sink, self.held)?;
        self.held -= taken;
        Ok(taken)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        PIPES.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether a read would not block. Unlike splice(2), a read skips an urgent byte.
fn can_be_read(source: impl AsFd) -> bool {
    recv(source, &mut [0], RecvFlags::PEEK).is_ok()
}

fn moved(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
    loop {
        match splice(
            &from,
            None,
            &to,
            None,
            most,
            SpliceFlags::MOVE | SpliceFlags::NONBLOCK,
        ) {
            Err(Errno::INTR) => {}
            outcome => return Ok(outcome?),
        }
    }
}
