//! What a client of HTTP/2 may and may not send, by section of RFC 9113. Each test has the section in its name.

mod connection;
mod floods;
mod frame_types;
mod messages;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use sidecar::proxy::tcp_lb::TcpLb;

use super::frames::*;
use super::streams;
use super::support::{body, lb};

/// What follows from the bytes of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The connection ends with this error.
    Connection(u32),
    /// This stream ends with this error, and the connection goes on.
    Stream(u32, u32),
    /// This stream is answered with 200.
    Answered(u32),
    /// This stream is answered with another status.
    Refused(u32),
    /// Nothing.
    Ignored,
}

impl Outcome {
    /// Whether this is what the RFC asks for. An error of a stream may be answered (section 8.1.1), or be one of the connection
    /// (section 5.4.1); and of the connection `h2` has PROTOCOL_ERROR for most of what has a more precise one.
    fn satisfies(self, expected: Self) -> bool {
        match (self, expected) {
            (Connection(PROTOCOL_ERROR), Connection(_) | Stream(..)) => true,
            (Refused(stream), Stream(expected, _)) => stream == expected,
            _ => self == expected,
        }
    }
}

use Outcome::{Answered, Connection, Ignored, Refused, Stream};

type Case = (&'static str, Vec<u8>, Outcome);

/// A stream that no case uses.
const AFTER: u32 = 1001;

/// An instance that reads whole requests, and the number of those that it has read.
async fn instance() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let whole = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&whole);
    let (address, _) = streams::instance(move |request: Request<Incoming>| {
        let counted = Arc::clone(&counted);
        async move {
            let mut answer = Response::new(body("hello"));
            match request.into_body().collect().await {
                Ok(_) => drop(counted.fetch_add(1, Ordering::SeqCst)),
                Err(_) => *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
            }
            answer
        }
    })
    .await;
    (address, whole)
}

/// What a connection does after bytes of a client.
async fn outcome(lb: &TcpLb, bytes: &[u8], expected: Outcome) -> Outcome {
    let mut peer = Peer::connect(lb).await;
    peer.write(bytes).await;
    peer.write(&frame(PING, 0, 0, b"the end.")).await;
    let outcome = loop {
        let Some(frame) = peer.read().await else {
            panic!("the connection ended without an error");
        };
        match frame.kind {
            GOAWAY if frame.code() != NO_ERROR => break Connection(frame.code()),
            RST_STREAM => break Stream(frame.stream, frame.code()),
            HEADERS if frame.is_success() => break Answered(frame.stream),
            HEADERS => break Refused(frame.stream),
            PING if expected == Ignored && frame.payload == b"the end." => break Ignored,
            _ => {}
        }
    };
    if let Connection(_) = outcome {
        while peer.read().await.is_some() {}
    } else {
        peer.write(&get(AFTER)).await;
        let answered = peer.find(|frame| frame.stream == AFTER && frame.is_success());
        assert!(answered.await.is_some(), "the connection did not go on");
    }
    outcome
}

/// Checks that each case has its outcome, and that no instance takes a request that is in error.
async fn check(cases: Vec<Case>) {
    let (address, whole) = instance().await;
    let (lb, _) = lb(&[address]);
    let mut wrong = Vec::new();
    for (what, bytes, expected) in cases {
        let before = whole.load(Ordering::SeqCst);
        let outcome = outcome(&lb, &bytes, expected).await;
        if !outcome.satisfies(expected) {
            wrong.push(format!("{what}: {outcome:?} instead of {expected:?}"));
        }
        // One of them is that which shows that the connection goes on.
        let allowed = match outcome {
            Connection(_) => 0,
            Stream(..) | Refused(_) | Ignored => 1,
            Answered(_) => 2,
        };
        let taken = whole.load(Ordering::SeqCst) - before;
        if taken > allowed {
            wrong.push(format!(
                "{what}: an instance took {taken} requests instead of {allowed}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
