//! One direction of a relay.

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, ErrorKind, Read};
use std::net::Shutdown;
use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};

use rustix::net::{SendFlags, send};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::pipe::Pipe;

/// The most that is read at once, and so the most that is kept for a receiver who cannot take it.
const CHUNK: usize = 32 * 1024;

/// The most that is read of a client before it is connected, and kept until then: all connections together may wait.
const MAX_INITIAL: usize = 4 * 1024;

/// Chunks per direction and turn, so that a bulk transfer lets other connections have theirs.
const CHUNKS_A_TURN: usize = 8;

/// A flow that has moved so many bytes and still fills chunks is long: its bytes go through a pipe.
const LONG: u64 = 256 * 1024;

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
    /// What is on its way through a pipe, in a long flow.
    pipe: Option<Pipe>,
    long: bool,
    /// The source's first bytes are still to be confirmed at once.
    confirms: bool,
    moved: u64,
    source_ended: bool,
    done: bool,
}

impl Flow {
    /// A flow that begins with bytes that were read already, and of which so many have been written.
    pub(super) fn new(kept: Vec<u8>, written: usize) -> Self {
        Self {
            kept,
            written,
            pipe: None,
            long: false,
            confirms: false,
            moved: written as u64,
            source_ended: false,
            done: false,
        }
    }

    /// Confirms the source's first bytes at once, unless they are its last, too. The system would wait (`TCP_QUICKACK`
    /// is off where first bytes went with the handshake), and a source that sends in pieces with us: until one is
    /// confirmed, it may hold back the next (Nagle's algorithm, RFC 896).
    pub(super) fn confirming(self) -> Self {
        let confirms = true;
        Self { confirms, ..self }
    }

    /// How many bytes the sink has taken.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// Whether the source's end of stream has been passed on.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Whether it waits for its source, and so hears of the source's errors.
    pub(super) fn reads(&self) -> bool {
        !self.source_ended && self.kept.is_empty() && self.pipe.is_none()
    }

    /// Moves what can be moved now; ready when the source's end of stream has been passed on, or is left to the closing
    /// of the sink, which is so where the flow is the `last` of its connection.
    pub(super) fn pump(
        &mut self,
        cx: &mut Context<'_>,
        source: &TcpStream,
        sink: &TcpStream,
        last: bool,
    ) -> Poll<Result<(), Fault>> {
        if self.done {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..CHUNKS_A_TURN {
            ready!(self.flush(cx, sink)).map_err(Fault::Write)?;
            if self.source_ended {
                if !last {
                    SockRef::from(sink)
                        .shutdown(Shutdown::Write)
                        .map_err(Fault::Write)?;
                }
                self.done = true;
                return Poll::Ready(Ok(()));
            }
            ready!(source.poll_read_ready(cx)).map_err(Fault::Read)?;
            match self.long.then(Pipe::take).flatten() {
                Some(pipe) => self.splice(source, sink, pipe)?,
                None => SCRATCH.with_borrow_mut(|scratch| self.pass(source, sink, scratch))?,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what was kept, and lets go of its memory once all is written.
    fn flush(&mut self, cx: &mut Context<'_>, sink: &TcpStream) -> Poll<io::Result<()>> {
        while self.written < self.kept.len() {
            ready!(sink.poll_write_ready(cx))?;
            let count = write(sink, &self.kept[self.written..], SendFlags::empty())?;
            self.written += count;
            self.moved += count as u64;
        }
        if !self.kept.is_empty() {
            self.kept = Vec::new();
            self.written = 0;
        }
        while let Some(pipe) = &mut self.pipe {
            ready!(sink.poll_write_ready(cx))?;
            self.moved += drain(pipe, sink)? as u64;
            if pipe.held() == 0
                && let Some(empty) = self.pipe.take()
            {
                empty.give_back();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Passes once what is there through a pipe, leaving there what the sink does not take.
    fn splice(&mut self, source: &TcpStream, sink: &TcpStream, mut pipe: Pipe) -> Result<(), Fault> {
        let filled = source.try_io(Interest::READABLE, || pipe.fill(source));
        match filled {
            // A read tells whether that is the end.
            Ok(0) => self.long = false,
            Ok(count) => {
                self.long = count >= CHUNK;
                self.moved += drain(&mut pipe, sink).map_err(Fault::Write)? as u64;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(Fault::Read(error)),
        }
        if pipe.held() == 0 {
            pipe.give_back();
        } else {
            self.pipe = Some(pipe);
        }
        Ok(())
    }

    /// Reads once and writes what came, keeping what the sink does not take.
    fn pass(&mut self, source: &TcpStream, sink: &TcpStream, scratch: &mut [u8]) -> Result<(), Fault> {
        let closed = has_closed(source);
        let Some(mut count) = read(source, scratch).map_err(Fault::Read)? else {
            return Ok(());
        };
        self.source_ended = count == 0;
        self.long = count == scratch.len() && self.moved >= LONG;
        let mut flags = SendFlags::empty();
        let mut broken = None;
        if closed && 0 < count && count < scratch.len() {
            // The end of the stream is there too, behind these bytes, so that they can leave in one packet with it.
            match receive(source, &mut scratch[count..]) {
                Ok(rest) => {
                    self.source_ended = rest == Some(0);
                    count += rest.unwrap_or(0);
                    flags.set(SendFlags::MORE, self.source_ended);
                }
                // A reset comes behind what was read before it, which is handed on first.
                Err(error) => broken = Some(error),
            }
        }
        if count > 0 {
            if std::mem::take(&mut self.confirms) && !closed {
                // Where it fails, the system confirms when it likes.
                let _ = SockRef::from(source).set_tcp_quickack(true);
            }
            let taken = write(sink, &scratch[..count], flags).map_err(Fault::Write)?;
            self.moved += taken as u64;
            self.kept.extend_from_slice(&scratch[taken..count]);
        }
        broken.map_or(Ok(()), |error| Err(Fault::Read(error)))
    }
}

/// What a client has sent already. It is not said whether that is all, or whether its stream has ended.
pub(super) fn waiting(client: &TcpStream) -> Vec<u8> {
    SCRATCH.with_borrow_mut(|scratch| {
        let scratch = &mut scratch[..MAX_INITIAL];
        // Of a connection this young the system may not have told yet what is there.
        let count = match read(client, scratch) {
            Ok(None) => receive(client, scratch),
            known => known,
        };
        // An error is met again by who reads next.
        let count = count.ok().flatten().unwrap_or(0);
        scratch[..count].to_vec()
    })
}

/// Hands the sink what it takes now of what is in the pipe, which may be nothing.
fn drain(pipe: &mut Pipe, sink: &TcpStream) -> io::Result<usize> {
    nothing_if_blocked(sink.try_io(Interest::WRITABLE, || pipe.drain(sink)))
}

/// Writes what the socket takes now, which may be nothing.
fn write(sink: &TcpStream, bytes: &[u8], flags: SendFlags) -> io::Result<usize> {
    let flags = flags | SendFlags::NOSIGNAL;
    nothing_if_blocked(sink.try_io(Interest::WRITABLE, || {
        send(sink, bytes, flags).map_err(io::Error::from)
    }))
}

fn nothing_if_blocked(sent: io::Result<usize>) -> io::Result<usize> {
    match sent {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        outcome => outcome,
    }
}

/// Whether the source has ended its stream, as of the last that the system told of it.
fn has_closed(source: &TcpStream) -> bool {
    let mut state = pin!(source.ready(Interest::READABLE));
    let known = state.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    matches!(known, Poll::Ready(Ok(ready)) if ready.is_read_closed())
}

/// Reads what is there: `None` where nothing is, 0 at the end of the stream.
///
/// A read that does not fill the buffer has emptied the socket, and what comes later is told anew (epoll(7),
/// edge-triggered): saying "would block" along with it saves the read that would only find that out.
fn read(source: &TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    let mut count = None;
    let outcome = source.try_io(Interest::READABLE, || {
        count = receive(source, buffer)?;
        match count {
            Some(count) if count == 0 || count == buffer.len() => Ok(()),
            _ => Err(ErrorKind::WouldBlock.into()),
        }
    });
    match outcome {
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        _ => Ok(count),
    }
}

/// Reads what is there, whatever is known of it.
fn receive(source: &TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match (&*SockRef::from(source)).read(buffer) {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    /// The first of several pieces of an answer, behind which the instance may wait for it to be confirmed.
    #[tokio::test]
    async fn a_first_piece_is_confirmed_at_once() {
        let (source, mut instance) = connected().await;
        let (sink, _client) = connected().await;
        let socket = SockRef::from(&source);
        socket.set_tcp_quickack(false).unwrap();
        assert!(
            !socket.tcp_quickack().unwrap(),
            "confirmations are not delayed to begin with"
        );

        let mut flow = Flow::new(Vec::new(), 0).confirming();
        instance.write_all(b"one of two").await.unwrap();
        let passed = poll_fn(|cx| match flow.pump(cx, &source, &sink, false) {
            Poll::Pending if flow.moved() == 0 => Poll::Pending,
            _ => Poll::Ready(()),
        });
        tokio::time::timeout(Duration::from_secs(10), passed)
            .await
            .expect("the piece is passed on");
        assert!(socket.tcp_quickack().unwrap(), "confirmations are delayed still");
    }
}
