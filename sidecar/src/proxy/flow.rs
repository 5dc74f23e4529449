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

/// Maximum number of bytes read at once, and thus buffered for a receiver that does not take them.
const CHUNK: usize = 32 * 1024;

/// Maximum number of bytes read from a client before it is connected. Small, because all connections may wait at the
/// same time.
const MAX_INITIAL: usize = 4 * 1024;

/// Chunks per direction and poll, so that a bulk transfer does not starve other connections.
const CHUNKS_PER_POLL: usize = 8;

/// Bytes moved after which a flow that still fills chunks is spliced through a pipe. Splicing has a set-up cost,
/// which only bulk transfers recover.
const LONG_FLOW: u64 = 256 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into_boxed_slice());
}

/// An error of one direction, by the side it occurred on.
pub(super) enum FlowError {
    Read(io::Error),
    Write(io::Error),
}

/// One direction.
pub(super) struct Flow {
    /// Bytes read but not all written yet; the first `written` of them are.
    buffer: Vec<u8>,
    written: usize,
    /// The pipe with bytes read but not written, in a long flow.
    pipe: Option<Pipe>,
    long: bool,
    /// Whether the source's first bytes still have to be acknowledged at once.
    quick_ack: bool,
    moved: u64,
    source_ended: bool,
    done: bool,
}

impl Flow {
    /// A flow that begins with bytes already read, of which the first `written` are already written.
    pub(super) fn new(buffer: Vec<u8>, written: usize) -> Self {
        Self {
            buffer,
            written,
            pipe: None,
            long: false,
            quick_ack: false,
            moved: written as u64,
            source_ended: false,
            done: false,
        }
    }

    /// Acknowledges the source's first bytes at once, unless they are also its last. Otherwise the kernel delays the ACK
    /// (`TCP_QUICKACK` is off if initial data went with the handshake), and a source with Nagle's algorithm (RFC 896) waits
    /// for it before it sends more.
    pub(super) fn with_quick_ack(self) -> Self {
        let quick_ack = true;
        Self { quick_ack, ..self }
    }

    /// Bytes written to the sink.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// Whether the source's end of stream was passed on.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Whether it waits for its source, and thus notices the source's errors.
    pub(super) fn reads(&self) -> bool {
        !self.source_ended && self.buffer.is_empty() && self.pipe.is_none()
    }

    /// Moves the bytes that can be moved now. Ready when the source's end of stream has been passed on; if the flow
    /// is the `last` of its connection, closing the sink will do that.
    pub(super) fn pump(
        &mut self,
        cx: &mut Context<'_>,
        source: &TcpStream,
        sink: &TcpStream,
        last: bool,
    ) -> Poll<Result<(), FlowError>> {
        if self.done {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..CHUNKS_PER_POLL {
            ready!(self.flush(cx, sink)).map_err(FlowError::Write)?;
            if self.source_ended {
                if !last {
                    SockRef::from(sink)
                        .shutdown(Shutdown::Write)
                        .map_err(FlowError::Write)?;
                }
                self.done = true;
                return Poll::Ready(Ok(()));
            }
            ready!(source.poll_read_ready(cx)).map_err(FlowError::Read)?;
            match self.long.then(Pipe::take).flatten() {
                Some(pipe) => self.splice(source, sink, pipe)?,
                None => SCRATCH.with_borrow_mut(|scratch| self.pass(source, sink, scratch))?,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes the buffered bytes, and frees the buffer once all are written.
    fn flush(&mut self, cx: &mut Context<'_>, sink: &TcpStream) -> Poll<io::Result<()>> {
        while self.written < self.buffer.len() {
            ready!(sink.poll_write_ready(cx))?;
            let count = write(sink, &self.buffer[self.written..], SendFlags::empty())?;
            self.written += count;
            self.moved += count as u64;
        }
        if !self.buffer.is_empty() {
            self.buffer = Vec::new();
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

    /// Splices once through a pipe, which keeps the bytes that the sink does not take.
    fn splice(&mut self, source: &TcpStream, sink: &TcpStream, mut pipe: Pipe) -> Result<(), FlowError> {
        let filled = source.try_io(Interest::READABLE, || pipe.fill(source));
        match filled {
            // The next read shows whether that is the end of the stream.
            Ok(0) => self.long = false,
            Ok(count) => {
                self.long = count >= CHUNK;
                self.moved += drain(&mut pipe, sink).map_err(FlowError::Write)? as u64;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(FlowError::Read(error)),
        }
        if pipe.held() == 0 {
            pipe.give_back();
        } else {
            self.pipe = Some(pipe);
        }
        Ok(())
    }

    /// Reads once and writes, buffering the bytes that the sink does not take.
    fn pass(&mut self, source: &TcpStream, sink: &TcpStream, scratch: &mut [u8]) -> Result<(), FlowError> {
        let closed = has_closed(source);
        let Some(mut count) = read(source, scratch).map_err(FlowError::Read)? else {
            return Ok(());
        };
        self.source_ended = count == 0;
        self.long = count == scratch.len() && self.moved >= LONG_FLOW;
        let mut flags = SendFlags::empty();
        let mut broken = None;
        if closed && 0 < count && count < scratch.len() {
            // The end of the stream follows these bytes: with MSG_MORE both go in one packet.
            match receive(source, &mut scratch[count..]) {
                Ok(rest) => {
                    self.source_ended = rest == Some(0);
                    count += rest.unwrap_or(0);
                    flags.set(SendFlags::MORE, self.source_ended);
                }
                // A reset follows the bytes read before it, which are passed on first.
                Err(error) => broken = Some(error),
            }
        }
        if count > 0 {
            if std::mem::take(&mut self.quick_ack) && !closed {
                // On failure the kernel delays the ACK.
                let _ = SockRef::from(source).set_tcp_quickack(true);
            }
            let taken = write(sink, &scratch[..count], flags).map_err(FlowError::Write)?;
            self.moved += taken as u64;
            self.buffer.extend_from_slice(&scratch[taken..count]);
        }
        broken.map_or(Ok(()), |error| Err(FlowError::Read(error)))
    }
}

/// Reads the initial data: what a client has sent so far. More may follow, or the end of the stream.
pub(super) fn read_initial_data(client: &TcpStream) -> Vec<u8> {
    SCRATCH.with_borrow_mut(|scratch| {
        let scratch = &mut scratch[..MAX_INITIAL];
        // The runtime may not have registered the readiness of a connection this young.
        let count = match read(client, scratch) {
            Ok(None) => receive(client, scratch),
            known => known,
        };
        // The next read returns the error again.
        let count = count.ok().flatten().unwrap_or(0);
        scratch[..count].to_vec()
    })
}

/// Writes the pipe's bytes that the sink takes now; 0 if it would block.
fn drain(pipe: &mut Pipe, sink: &TcpStream) -> io::Result<usize> {
    zero_if_blocked(sink.try_io(Interest::WRITABLE, || pipe.drain(sink)))
}

/// Writes the bytes that the socket takes now; 0 if it would block.
fn write(sink: &TcpStream, bytes: &[u8], flags: SendFlags) -> io::Result<usize> {
    let flags = flags | SendFlags::NOSIGNAL;
    zero_if_blocked(sink.try_io(Interest::WRITABLE, || {
        send(sink, bytes, flags).map_err(io::Error::from)
    }))
}

fn zero_if_blocked(sent: io::Result<usize>) -> io::Result<usize> {
    match sent {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        outcome => outcome,
    }
}

/// Whether the source has ended its stream, according to the last readiness event.
pub(super) fn has_closed(source: &TcpStream) -> bool {
    let mut state = pin!(source.ready(Interest::READABLE));
    let known = state.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    matches!(known, Poll::Ready(Ok(ready)) if ready.is_read_closed())
}

/// Reads the available bytes: `None` if it would block, 0 at the end of the stream.
///
/// A read that does not fill the buffer has emptied the socket, and a new event follows when more arrives (epoll(7),
/// edge-triggered). Reporting "would block" to the runtime then saves a read that would return exactly that.
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

/// Reads the available bytes, regardless of readiness.
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

    /// The first part of an answer: the instance may wait for the ACK before it sends the next.
    #[tokio::test]
    async fn the_first_bytes_are_acknowledged_at_once() {
        let (source, mut instance) = connected().await;
        let (sink, _client) = connected().await;
        let socket = SockRef::from(&source);
        socket.set_tcp_quickack(false).unwrap();
        assert!(
            !socket.tcp_quickack().unwrap(),
            "ACKs are not delayed to begin with"
        );

        let mut flow = Flow::new(Vec::new(), 0).with_quick_ack();
        instance.write_all(b"one of two").await.unwrap();
        let passed = poll_fn(|cx| match flow.pump(cx, &source, &sink, false) {
            Poll::Pending if flow.moved() == 0 => Poll::Pending,
            _ => Poll::Ready(()),
        });
        tokio::time::timeout(Duration::from_secs(10), passed)
            .await
            .expect("the bytes were not passed on");
        assert!(socket.tcp_quickack().unwrap(), "ACKs are still delayed");
    }
}
