//! Failures of a registration.

use std::time::Duration;

use bytes::Bytes;
use hyper::{Response, StatusCode};
use serde::Deserialize;

use super::{Registration, Sidecar};
use crate::client;

/// Why a service is not registered, or not deregistered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No attempt succeeded before the registration timeout.
    #[error("the sidecar at {sidecar} did not respond within {}: is it running? (set its address with --sidecar)", seconds(*.timeout))]
    GaveUp {
        /// The sidecar's address.
        sidecar: Sidecar,
        /// The registration timeout.
        timeout: Duration,
        /// The last attempt's failure.
        source: Box<Error>,
    },
    /// The sidecar cannot be connected to.
    #[error("cannot connect to the sidecar")]
    Connect(#[source] std::io::Error),
    /// A request had no answer within this timeout.
    #[error("no response within {}", seconds(*.0))]
    Timeout(Duration),
    /// The connection broke, or the answer is not HTTP.
    #[error(transparent)]
    Exchange(#[from] client::Error),
    /// The sidecar answered with an error.
    #[error("the sidecar refused to {action} {name} ({status}): {message}")]
    Refused {
        /// The refused request, as a verb.
        action: &'static str,
        /// The registration's name.
        name: String,
        /// The answer's status.
        status: StatusCode,
        /// The answer's message.
        message: String,
    },
    /// The sidecar does not know a registration that it has just accepted.
    #[error("the sidecar does not know {0}, which it registered a moment ago")]
    Lost(String),
    /// The answer's JSON is not a registration.
    #[error("the sidecar's answer about {name} is not a registration")]
    Malformed {
        /// The registration's name.
        name: String,
        /// The parser's error.
        source: serde_json::Error,
    },
}

impl Error {
    /// A refusal of `action`, with the message in the sidecar's answer.
    pub(super) fn refused(
        action: &'static str,
        registration: &Registration,
        answer: &Response<Bytes>,
    ) -> Self {
        #[derive(Deserialize)]
        struct Body {
            message: String,
        }
        let message = match serde_json::from_slice(answer.body()) {
            Ok(Body { message }) => message,
            Err(_) => String::from_utf8_lossy(answer.body())
                .trim()
                .chars()
                .take(500)
                .collect(),
        };
        Error::Refused {
            action,
            name: registration.name.clone(),
            status: answer.status(),
            message,
        }
    }

    /// Whether another attempt may succeed.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Error::Connect(_) | Error::Timeout(_) | Error::Exchange(_) | Error::Lost(_) => true,
            // The sidecar may have applied the request.
            Error::Refused { status, .. } => status.is_server_error(),
            Error::GaveUp { .. } | Error::Malformed { .. } => false,
        }
    }
}

pub(super) fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}
