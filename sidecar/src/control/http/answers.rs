//! The answers that carry no reading: done, refused, not found.

use hyper::{Method, StatusCode};

use super::body::Fault;
use super::shape::shapes;
use crate::control::error::CommandError;
use crate::http::{self, Answer};

shapes! {
    /// Why a request is refused.
    struct Refused {
        /// The HTTP status.
        code: u16,
        /// What is wrong, and what was expected.
        message: String,
    }

    /// Why a body cannot be read.
    struct NotJson {
        /// The HTTP status.
        status: u16,
        /// The HTTP status in words.
        reason: &'static str,
        /// What is wrong with it.
        message: String,
    }
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

/// The answer for a path that leads nowhere.
pub(super) fn nothing_at(method: &Method, path: &str) -> Answer {
    http::text(StatusCode::NOT_FOUND, format!("Cannot {method} {path}\r\n"))
}

/// The answer where there is nothing to read.
pub(super) fn unread(error_: &CommandError) -> Answer {
    match error_ {
        CommandError::NotFound { resource, name } => error(
            StatusCode::NOT_FOUND,
            format!("Cannot find {resource} with name {name}."),
        ),
        other => refused(other.to_string()),
    }
}

impl From<Fault> for Answer {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unfit(message) => refused(message),
            Fault::NotJson(error) => {
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
