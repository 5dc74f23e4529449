//! The answers to refused requests.

use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde::Serialize;

use super::body::BodyError;
use crate::control::error::CommandError;
use crate::http::{self, Answer};

/// Why a request is refused.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Refused {
    /// The HTTP status.
    #[cfg_attr(test, schema(maximum = 65535))]
    code: u16,
    /// What is wrong, and what was expected.
    message: String,
}

/// Why a body cannot be read.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct NotJson {
    /// The HTTP status.
    #[cfg_attr(test, schema(maximum = 65535))]
    status: u16,
    /// The HTTP status in words.
    reason: &'static str,
    /// What is wrong with it.
    message: String,
}

pub(super) fn error(status: StatusCode, message: impl Into<String>) -> Answer {
    let refused = Refused {
        code: status.as_u16(),
        message: message.into(),
    };
    http::json(status, &refused)
}

pub(super) fn refused(message: impl Into<String>) -> Answer {
    error(StatusCode::BAD_REQUEST, message)
}

/// The answer for a path that does not exist.
pub(super) fn no_such_path(method: &Method, path: &str) -> Answer {
    http::text(StatusCode::NOT_FOUND, format!("Cannot {method} {path}\r\n"))
}

/// The answer to a refused read.
pub(super) fn not_read(error_: &CommandError) -> Answer {
    match error_ {
        CommandError::NotFound { resource, name } => error(
            StatusCode::NOT_FOUND,
            format!("Cannot find {resource} with name {name}."),
        ),
        other => refused(other.to_string()),
    }
}

impl From<BodyError> for Answer {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Unfit(message) => refused(message),
            BodyError::NotJson(error) => {
                let status = StatusCode::BAD_REQUEST;
                let answer = NotJson {
                    status: status.as_u16(),
                    reason: "Bad Request",
                    message: format!("request body is not valid json: {error}"),
                };
                http::json(status, &answer)
            }
        }
    }
}

/// The answer to a browser that was sent here by a web page.
pub(super) fn from_web_page() -> Answer {
    let message = "requests from web pages are not answered: the header Origin is not expected here";
    error(StatusCode::FORBIDDEN, message)
}

/// Checks that a request's body is not compressed.
///
/// # Errors
/// The answer to a compressed one, which says what is expected (RFC 9110, section 15.5.16).
pub(super) fn uncoded(request: &Request<Incoming>) -> Result<(), Box<Answer>> {
    let coding = request.headers().get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
    if coding.is_none_or(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    let message = "the body is compressed (header Content-Encoding); expected plain JSON";
    let mut answer = error(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    let headers = answer.headers_mut();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Err(Box::new(answer))
}
