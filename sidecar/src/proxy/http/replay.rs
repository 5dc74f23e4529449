//! The body of a request to an instance. One that may have to be sent again is remembered, up to a bound.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// Bytes of a body that are remembered at most; a longer one is sent once. Higher sends more requests again, and holds more
/// memory for each that is under way.
const MAX_REMEMBERED: usize = 64 * 1024;

/// The body of a request to an instance.
pub(super) enum RequestBody {
    /// None.
    Empty,
    /// Sent once.
    Once(Incoming),
    /// May be sent again while it is remembered.
    Replayed(Replayed),
}

/// One sending of a body.
pub(super) struct Replayed {
    source: Arc<Mutex<Source>>,
    hint: SizeHint,
    /// Remembered frames that this sending has passed.
    passed: usize,
}

struct Source {
    incoming: Incoming,
    remembered: Vec<Remembered>,
    bytes: usize,
    /// It is longer than what may be remembered.
    is_long: bool,
}

#[derive(Clone)]
enum Remembered {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl RequestBody {
    /// The body of a client's request. It can be sent again only if that may be `wanted`.
    pub(super) fn new(incoming: Incoming, wanted: bool) -> Self {
        if incoming.is_end_stream() {
            return Self::Empty;
        }
        if !wanted {
            return Self::Once(incoming);
        }
        let hint = incoming.size_hint();
        Self::Replayed(Replayed {
            source: Arc::new(Mutex::new(Source {
                incoming,
                remembered: Vec::new(),
                bytes: 0,
                is_long: false,
            })),
            hint,
            passed: 0,
        })
    }

    /// A second sending; `None` if the body is sent once. Whether it can begin is known by [`Self::is_whole`].
    pub(super) fn again(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Once(_) => None,
            Self::Replayed(replayed) => Some(Self::Replayed(Replayed {
                source: Arc::clone(&replayed.source),
                hint: replayed.hint,
                passed: 0,
            })),
        }
    }

    /// Whether everything that was sent so far is remembered.
    pub(super) fn is_whole(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Once(_) => false,
            Self::Replayed(replayed) => !replayed.source().is_long,
        }
    }
}

impl Replayed {
    fn source(&self) -> MutexGuard<'_, Source> {
        // A panic while the lock is held leaves no change half done.
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    fn remember(&mut self, frame: &Frame<Bytes>) {
        if self.is_long {
            return;
        }
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        self.bytes += bytes;
        if self.bytes > MAX_REMEMBERED {
            self.is_long = true;
            self.remembered = Vec::new();
        } else if let Some(data) = frame.data_ref() {
            self.remembered.push(Remembered::Data(data.clone()));
        } else if let Some(trailers) = frame.trailers_ref() {
            self.remembered.push(Remembered::Trailers(trailers.clone()));
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let replayed = match self.get_mut() {
            Self::Empty => return Poll::Ready(None),
            Self::Once(incoming) => return Pin::new(incoming).poll_frame(cx),
            Self::Replayed(replayed) => replayed,
        };
        let mut source = replayed.source.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(frame) = source.remembered.get(replayed.passed).cloned() {
            replayed.passed += 1;
            return Poll::Ready(Some(Ok(match frame {
                Remembered::Data(data) => Frame::data(data),
                Remembered::Trailers(trailers) => Frame::trailers(trailers),
            })));
        }
        let polled = ready!(Pin::new(&mut source.incoming).poll_frame(cx));
        if let Some(Ok(frame)) = &polled {
            source.remember(frame);
            replayed.passed = source.remembered.len();
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Once(incoming) => incoming.is_end_stream(),
            Self::Replayed(replayed) => {
                let source = replayed.source();
                replayed.passed == source.remembered.len() && source.incoming.is_end_stream()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Once(incoming) => incoming.size_hint(),
            // As hyper asks before the first frame.
            Self::Replayed(replayed) => replayed.hint,
        }
    }
}
