//! The stream of a connection as hyper reads and writes it: counts its bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Gets the bytes that a stream moves.
pub(super) trait Meter {
    /// Bytes were read; 0 is the end of the stream.
    fn read(&self, bytes: usize);
    /// Bytes were written.
    fn written(&self, bytes: usize);
    /// Everything that hyper had to write is written.
    fn flushed(&self) {}
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
        let outcome = Pin::new(tcp).poll_read(cx, buffer);
        if matches!(outcome, Poll::Ready(Ok(()))) && room {
            this.meter.read(buffer.filled().len() - before);
        }
        outcome
    }
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
