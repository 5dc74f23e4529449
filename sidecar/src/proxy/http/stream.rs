//! The stream of a connection as hyper reads and writes it: counts its bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Gets the bytes that a stream moves.
pub(super) trait Meter {
    /// Bytes were read; 0 is the end of the stream.
    fn read(&mut self, bytes: usize);
    /// Bytes were written.
    fn written(&self, bytes: usize);
    /// Everything that hyper had to write is written.
    fn flushed(&self) {}
    /// Whether the end of the stream matters before the runtime has noticed it.
    fn needs_end(&self) -> bool {
        false
    }
    /// Whether the connection ends with a reset.
    fn resets(&self) -> bool {
        false
    }
}

/// A TCP stream, read from the bytes that were read from it before.
pub(super) struct Stream<M: Meter> {
    tcp: Option<TcpStream>,
    unread: Bytes,
    meter: M,
}

impl<M: Meter> Stream<M> {
    pub(super) fn new(tcp: TcpStream, unread: Bytes, meter: M) -> Self {
        Self {
            tcp: Some(tcp),
            unread,
            meter,
        }
    }

    /// The TCP stream, and what is left of the bytes that were read from it before; `None` if it was taken.
    pub(super) fn take(mut self) -> Option<(TcpStream, Bytes)> {
        let tcp = self.tcp.take()?;
        Some((tcp, std::mem::take(&mut self.unread)))
    }
}

impl<M: Meter> Drop for Stream<M> {
    fn drop(&mut self) {
        if let Some(tcp) = &self.tcp
            && self.meter.resets()
        {
            // On failure the connection has already ended.
            let _ = tcp.set_zero_linger();
        }
    }
}

impl<M: Meter + Unpin> AsyncRead for Stream<M> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.unread.is_empty() {
            let count = this.unread.len().min(buffer.remaining());
            buffer.put_slice(&this.unread[..count]);
            this.unread.advance(count);
            this.meter.read(count);
            return Poll::Ready(Ok(()));
        }
        let Some(tcp) = &mut this.tcp else {
            return Poll::Ready(Ok(()));
        };
        let (before, room) = (buffer.filled().len(), buffer.remaining() > 0);
        let outcome = Pin::new(&mut *tcp).poll_read(cx, buffer);
        if outcome.is_pending() && this.meter.needs_end() && is_over(tcp) {
            this.meter.read(0);
            return Poll::Ready(Ok(()));
        }
        if matches!(outcome, Poll::Ready(Ok(()))) && room {
            this.meter.read(buffer.filled().len() - before);
        }
        outcome
    }
}

/// Whether a stream that is not to say anything has ended, or has said something. The runtime knows of it only after it has
/// asked the system for events, before which it may run many tasks.
fn is_over(tcp: &TcpStream) -> bool {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    !matches!(recv(tcp, &mut [0], flags), Err(rustix::io::Errno::AGAIN))
}

impl<M: Meter + Unpin> Stream<M> {
    fn write(
        &mut self,
        write: impl FnOnce(Pin<&mut TcpStream>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let Some(tcp) = &mut self.tcp else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let outcome = write(Pin::new(tcp));
        if let Poll::Ready(Ok(count)) = outcome {
            self.meter.written(count);
        }
        outcome
    }
}

impl<M: Meter + Unpin> AsyncWrite for Stream<M> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().write(|tcp| tcp.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().write(|tcp| tcp.poll_write_vectored(cx, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.meter.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().tcp {
            Some(tcp) => Pin::new(tcp).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

    use std::future::poll_fn;
    use std::io::Read;
    use std::net::{Shutdown, TcpListener};

    use super::*;

    struct Idle {
        needs_end: bool,
    }

    impl Meter for Idle {
        fn read(&mut self, _: usize) {}
        fn written(&self, _: usize) {}
        fn needs_end(&self) -> bool {
            self.needs_end
        }
    }

    #[tokio::test]
    async fn an_end_that_the_runtime_has_not_noticed_is_found_if_it_matters() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut theirs, _) = listener.accept().unwrap();
        let mut stream = Stream::new(ours, Bytes::new(), Idle { needs_end: true });
        let poll = async |stream: &mut Stream<Idle>| {
            poll_fn(|cx| {
                let mut buffer = [0; 8];
                let polled = Pin::new(&mut *stream).poll_read(cx, &mut ReadBuf::new(&mut buffer));
                Poll::Ready(polled.is_ready())
            })
            .await
        };
        assert!(!poll(&mut stream).await, "an open stream has ended");
        // From here on the runtime has no turn: nothing is awaited that is not ready.
        theirs.shutdown(Shutdown::Both).unwrap();
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
        stream.meter.needs_end = false;
        assert!(!poll(&mut stream).await, "the runtime has noticed the end");
        stream.meter.needs_end = true;
        assert!(poll(&mut stream).await, "the end was not found");
    }
}
