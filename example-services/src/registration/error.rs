//! Why a registration fails.

use std::time::Duration;

use bytes::Bytes;
use hyper::{Response, StatusCode};
use serde::Deserialize;

use super::{Registration, Sidecar};
use crate::client;

/// Why a service is not registered, or not deregistered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer came in all the time there was.
    #[error("the sidecar at {sidecar} gave no answer in {}: is it running there? (--sidecar says where)", seconds(*.limit))]
    GaveUp {
        /// Where it was looked for.
        sidecar: Sidecar,
        /// How long.
        limit: Duration,
        /// The last attempt's failure.
        source: Box<Error>,
    },
    /// The sidecar cannot be connected to.
    #[error("cannot connect to the sidecar")]
    Connect(#[source] std::io::Error),
    /// It took longer than this.
    #[error("no answer in {}", seconds(*.0))]
    Timeout(Duration),
    /// The exchange broke.
    #[error(transparent)]
    Exchange(#[from] client::Error),
    /// The sidecar does not do what it is asked for.
    #[error("the sidecar refused to {action} {name} ({status}): {message}")]
    Refused {
        /// What it was asked to do.
        action: &'static str,
        /// The registration's name.
        name: String,
        /// Its answer's status.
        status: StatusCode,
        /// Its own words.
        message: String,
    },
    /// The registration that was made a moment ago is not there.
    #[error("the sidecar does not know {0}, which it registered a moment ago")]
    Lost(String),
    /// The answer is not the JSON that the protocol says.
    #[error("the sidecar's answer about {name} is not a registration")]
    Malformed {
        /// The registration's name.
        name: String,
        /// Where it differs.
        source: serde_json::Error,
    },
}

impl Error {
    /// A refusal of `action`, with the sidecar's own words.
    pub(super) fn refused(
        action: &'static str,
        registration: &Registration,
        answer: &Response<Bytes>,
    ) -> Self {
        /// The sidecar's errors carry their message in JSON.
        #[derive(Deserialize)]
        struct Told {
            message: String,
        }
        let message = match serde_json::from_slice(answer.body()) {
            Ok(Told { message }) => message,
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

    /// Whether the next attempt may fare better.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Error::Connect(_) | Error::Timeout(_) | Error::Exchange(_) | Error::Lost(_) => true,
            // Its trouble and not our mistake; it may have done what it was asked for all the same.
            Error::Refused { status, .. } => status.is_server_error(),
            Error::GaveUp { .. } | Error::Malformed { .. } => false,
        }
    }
}

pub(super) fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}
