//! The sidecar's own answers to requests that no instance has answered.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Request, Response, StatusCode, Version};

use super::body::AnswerBody;
use crate::proxy::connect::{ConnectError, Reason};

/// The field by which a client tells an answer of the sidecar from an instance's. Its value is [`Cause::label`].
pub(super) const CAUSE: HeaderName = HeaderName::from_static("x-sidecar-error");

/// How a call of gRPC has ended: in the trailers of its answer, or in the head of one without a body.
pub(super) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Why the sidecar answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Cause {
    /// The request is malformed, or its body broke off.
    BadRequest,
    /// The request names a destination that is not a backend.
    NotAllowed,
    /// The request is one for a tunnel within a connection of HTTP/2.
    NotSupported,
    /// No instance is up.
    NoInstance,
    /// All endpoints tried refused.
    Refused,
    /// At least one endpoint did not answer before the timeout.
    ConnectTimeout,
    /// At least one endpoint is unreachable; the others refused.
    Unreachable,
    /// For lack of something of this sidecar or its machine.
    OutOfRoom,
    /// The instance ended the connection before it answered.
    NoAnswer,
    /// The instance went down before it answered.
    InstanceDown,
    /// The instance's answer is not HTTP.
    BadAnswer,
    /// The instance did not answer before the timeout.
    RequestTimeout,
}

impl Cause {
    /// The value of the field and of the metric's label.
    #[must_use]
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::NotAllowed => "not-allowed",
            Self::NotSupported => "not-supported",
            Self::NoInstance => "no-instance",
            Self::Refused => "refused",
            Self::ConnectTimeout => "connect-timeout",
            Self::Unreachable => "unreachable",
            Self::OutOfRoom => "out-of-room",
            Self::NoAnswer => "no-answer",
            Self::InstanceDown => "instance-down",
            Self::BadAnswer => "bad-answer",
            Self::RequestTimeout => "request-timeout",
        }
    }

    /// The status of the answer.
    #[must_use]
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::NotAllowed => StatusCode::FORBIDDEN,
            Self::NotSupported => StatusCode::NOT_IMPLEMENTED,
            Self::NoInstance | Self::OutOfRoom => StatusCode::SERVICE_UNAVAILABLE,
            Self::ConnectTimeout | Self::RequestTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Refused | Self::Unreachable | Self::NoAnswer | Self::InstanceDown | Self::BadAnswer => {
                StatusCode::BAD_GATEWAY
            }
        }
    }

    /// The status of the answer to a call of gRPC.
    #[must_use]
    pub(super) fn grpc_status(self) -> &'static str {
        match self {
            Self::BadRequest => "13",
            Self::NotAllowed => "7",
            Self::NotSupported => "12",
            // Not unavailable, after which clients call again: the instance may have acted on it.
            Self::RequestTimeout => "4",
            _ => "14",
        }
    }

    /// The text for people.
    #[must_use]
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::BadRequest => "the request is malformed or broke off",
            Self::NotAllowed => "the destination is not a backend",
            Self::NotSupported => "CONNECT is supported in HTTP/1.1 only",
            Self::NoInstance => "no instance is up",
            Self::Refused => "the instance refused the connection",
            Self::ConnectTimeout => "the instance did not accept the connection in time",
            Self::Unreachable => "the instance is unreachable",
            Self::OutOfRoom => "the sidecar or its machine lacks something",
            Self::NoAnswer => "the instance ended the connection before it answered",
            Self::InstanceDown => "the instance went down before it answered",
            Self::BadAnswer => "the instance's answer is not HTTP",
            Self::RequestTimeout => "the instance did not answer in time",
        }
    }
}

impl From<&ConnectError> for Cause {
    fn from(error: &ConnectError) -> Self {
        match error.reason {
            Reason::NoInstance | Reason::Unresolved | Reason::ClientLeft => Self::NoInstance,
            Reason::Refused => Self::Refused,
            Reason::TimedOut => Self::ConnectTimeout,
            Reason::Unreachable => Self::Unreachable,
            Reason::Own(_) => Self::OutOfRoom,
        }
    }
}

/// Whether a request is a call of gRPC.
pub(super) fn is_grpc<B>(request: &Request<B>) -> bool {
    let content = request.headers().get(CONTENT_TYPE);
    request.version() == Version::HTTP_2
        && content.is_some_and(|content| content.as_bytes().starts_with(b"application/grpc"))
}

/// The answer to a call of gRPC: of a status and without a message. Some clients take an answer that is not of gRPC for a
/// fault of their own, and do not try again.
pub(super) fn grpc_answer(cause: Cause) -> Response<AnswerBody> {
    let mut answer = Response::new(AnswerBody::own(Bytes::new()));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from_static(cause.grpc_status()));
    headers.insert(GRPC_MESSAGE, HeaderValue::from_static(cause.text()));
    headers.insert(CAUSE, HeaderValue::from_static(cause.label()));
    answer
}

/// An answer with a short JSON body: `{"error":"no instance is up","cause":"no-instance"}`.
pub(super) fn answer(cause: Cause) -> Response<AnswerBody> {
    let (text, label) = (cause.text(), cause.label());
    let body = format!("{{\"error\":\"{text}\",\"cause\":\"{label}\"}}\n");
    let mut answer = Response::new(AnswerBody::own(Bytes::from(body)));
    *answer.status_mut() = cause.status();
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CAUSE, HeaderValue::from_static(label));
    if cause.status() == StatusCode::SERVICE_UNAVAILABLE {
        // Each reason for it passes soon.
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}
