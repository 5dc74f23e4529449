//! One direction of a relay.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read};
use std::net::Shutdown;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// The most that is read at once, and so the most that is kept for a receiver who cannot take it.
const CHUNK: usize = 32 * 1024;

/// Chunks per direction and turn, so that a bulk transfer lets other connections have theirs.
const CHUNKS_A_TURN: usize = 8;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into_boxed_slice());
}

/// An error, told by where it was met.
pub(super) enum Fault {
    Read(io::Error),
    Write(io::Error),
}

/// One direction.
pub(super) struct Flow {
    /// What was read and could not be written yet; its first `written` bytes have been.
    kept: Vec<u8>,
    written: usize,
    moved: u64,
    source_ended: bool,
    done: bool,
}

impl Flow {
    /// A flow that begins with bytes that were read already.
    pub(super) fn new(kept: Vec<u8>) -> Self {
        Self {
            kept,
            written: 0,
            moved: 0,
            source_ended: false,
            done: false,
        }
    }

    /// How many bytes the sink has taken.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// Moves what can be moved now; ready when the source's end of stream has been passed on.
    pub(super) fn pump(
        &mut self,
        cx: &mut Context<'_>,
        source: &TcpStream,
        sink: &TcpStream,
    ) -> Poll<Result<(), Fault>> {
        if self.done {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..CHUNKS_A_TURN {
            ready!(self.flush(cx, sink)).map_err(Fault::Write)?;
            if self.source_ended {
                SockRef::from(sink)
                    .shutdown(Shutdown::Write)
                    .map_err(Fault::Write)?;
                self.done = true;
                return Poll::Ready(Ok(()));
            }
            ready!(source.poll_read_ready(cx)).map_err(Fault::Read)?;
            SCRATCH.with_borrow_mut(|scratch| self.pass(source, sink, scratch))?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what was kept, and lets go of its memory once all is written.
    fn flush(&mut self, cx: &mut Context<'_>, sink: &TcpStream) -> Poll<io::Result<()>> {
        while self.written < self.kept.len() {
            ready!(sink.poll_write_ready(cx))?;
            let count = write(sink, &self.kept[self.written..])?;
            self.written += count;
            self.moved += count as u64;
        }
        if !self.kept.is_empty() {
            self.kept = Vec::new();
            self.written = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once and writes what came, keeping what the sink does not take.
    fn pass(&mut self, source: &TcpStream, sink: &TcpStream, scratch: &mut [u8]) -> Result<(), Fault> {
        match read(source, scratch).map_err(Fault::Read)? {
            None => {}
            Some(0) => self.source_ended = true,
            Some(count) => {
                let taken = write(sink, &scratch[..count]).map_err(Fault::Write)?;
                self.moved += taken as u64;
                self.kept.extend_from_slice(&scratch[taken..count]);
            }
        }
        Ok(())
    }
}

/// Writes what the socket takes now, which may be nothing.
fn write(sink: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match sink.try_write(bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        outcome => outcome,
    }
}

/// Reads what is there: `None` where nothing is, 0 at the end of the stream.
///
/// A read that does not fill the buffer has emptied the socket, and what comes later is told anew (epoll(7),
/// edge-triggered): saying "would block" along with it saves the read that would only find that out.
fn read(source: &TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    let mut count = None;
    let outcome = source.try_io(Interest::READABLE, || {
        let read = (&*SockRef::from(source)).read(buffer)?;
        count = Some(read);
        if 0 < read && read < buffer.len() {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(())
    });
    match outcome {
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        _ => Ok(count),
    }
}
