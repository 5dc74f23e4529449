//! Pipes, through which the kernel passes the bytes of long flows from socket to socket without copying them
//! (splice(2)).

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// What one pipe may hold. It is what a flow may have on its way, and so what a slow receiver costs at most.
const SIZE: usize = 256 * 1024;

/// The most pipes of the process: each takes two descriptors. Flows that get none are copied.
const MOST: usize = 256;

/// The most empty ones that a thread keeps at hand.
const AT_HAND: usize = 4;

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
}

impl Pipe {
    /// An empty one, unless there are too many already or the system has no room.
    pub(super) fn take() -> Option<Self> {
        EMPTY.with_borrow_mut(Vec::pop).or_else(Self::open)
    }

    fn open() -> Option<Self> {
        let count = |count| (count < MOST).then_some(count + 1);
        PIPES
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, count)
            .ok()?;
        let Ok((exit, entrance)) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK) else {
            PIPES.fetch_sub(1, Ordering::Relaxed);
            return None;
        };
        // Where the system allows no more, it is as large as pipes are by default.
        let _ = fcntl_setpipe_size(&entrance, SIZE);
        Some(Self {
            entrance,
            exit,
            held: 0,
        })
    }

    /// Gives an empty one back, for the next flow.
    pub(super) fn give_back(self) {
        EMPTY.with_borrow_mut(|empty| {
            if self.held == 0 && empty.len() < AT_HAND {
                empty.push(self);
            }
        });
    }

    /// How many bytes are in it.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Takes in what the socket has and the pipe has room for; 0 where only a read goes on: at the end of the stream
    /// and before an urgent byte. To be called when it is empty: then "would block" is about the socket.
    pub(super) fn fill(&mut self, source: impl AsFd) -> io::Result<usize> {
        let taken = match moved(&source, &self.entrance, SIZE) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && can_be_read(&source) => 0,
            outcome => outcome?,
        };
        self.held += taken;
        Ok(taken)
    }

    /// Hands what is in it to the socket, as much as that takes.
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

/// Whether a read would not block. It passes over an urgent byte, before which splice(2) stops for good.
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
