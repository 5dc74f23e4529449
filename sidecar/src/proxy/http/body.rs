//! Bodies on their way through the sidecar, frame by frame: none is held back.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::exchange::Exchange;

/// The body of an answer.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are relayed, and a box would cost each of them an allocation"
)]
pub(super) enum AnswerBody {
    /// The sidecar's own.
    Own(Option<Bytes>),
    /// An instance's. The exchange ends with it.
    Relayed { incoming: Incoming, exchange: Exchange },
}

impl AnswerBody {
    /// A body that the sidecar wrote.
    pub(super) fn own(bytes: Bytes) -> Self {
        Self::Own((!bytes.is_empty()).then_some(bytes))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Relayed { incoming, exchange } => {
                let polled = Pin::new(incoming).poll_frame(cx);
                if let Poll::Ready(frame) = &polled {
                    exchange.passed(frame.as_ref());
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Relayed { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Relayed { incoming, .. } => incoming.size_hint(),
        }
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        if let Self::Relayed { incoming, exchange } = self
            && incoming.is_end_stream()
        {
            exchange.passed(None);
        }
    }
}
