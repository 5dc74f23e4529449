//! The response of a service instance.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use crate::cluster::topology::Route;
use crate::http::{self, HttpError, Response};

/// The body of a service instance's response.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The service's short name.
    pub service: String,
    /// Name of the host that answered: the first 12 digits of its container's id.
    pub host: String,
    /// The port that its sidecar assigned to it.
    pub port: u16,
    /// Its weight, if it was started with one.
    pub weight: Option<u32>,
}

impl Answer {
    /// Parses a body. Any byte that differs from what a service writes is an error.
    ///
    /// # Errors
    /// The actual and the expected body.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let text = String::from_utf8_lossy(body);
        let answer: Self = serde_json::from_str(&text).map_err(|error| format!("{text:?}: {error}"))?;
        let Self {
            service,
            host,
            port,
            weight,
        } = &answer;
        let weight = weight
            .map(|weight| format!(r#","weight":{weight}"#))
            .unwrap_or_default();
        let expected = format!("{{\"service\":\"{service}\",\"host\":\"{host}\",\"port\":{port}{weight}}}\n");
        if expected == text {
            Ok(answer)
        } else {
            Err(format!("{text:?} instead of {expected:?}"))
        }
    }
}

/// Sends a request on `route`, whose published port is `address`.
///
/// # Errors
/// As [`read`], or no response within `limit`.
pub async fn ask(address: SocketAddr, route: &Route, limit: Duration) -> Result<Answer, String> {
    read(http::get(address, &route.target, limit).await, route)
}

/// Reads the response to a request on `route`.
///
/// # Errors
/// There is none, or one with a status other than 200, a malformed body, or the body of another service.
pub fn read(answered: Result<Response, HttpError>, route: &Route) -> Result<Answer, String> {
    let response = answered.map_err(|error| error.cause())?;
    if response.status != 200 {
        return Err(format!("status {}: {}", response.status, reason(&response.body)));
    }
    let answer = Answer::parse(&response.body)?;
    if answer.service == route.service {
        Ok(answer)
    } else {
        Err(format!(
            "service {} answered instead of {}",
            answer.service, route.service
        ))
    }
}

/// The reason in the body of a frontend's error, or the whole body if it has none.
fn reason(body: &[u8]) -> String {
    let error: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let reason = error.as_ref().and_then(|error| error["reason"].as_str());
    let text = String::from_utf8_lossy(body);
    reason.unwrap_or_else(|| text.trim_end()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_shown_by_its_reason() {
        let body = br#"{"error":"bad gateway","service":"a","via":"lb","reason":"nothing listens"}"#;
        assert_eq!(reason(body), "nothing listens");
        assert_eq!(reason(b"other text\n"), "other text");
    }

    #[test]
    fn a_body_in_any_other_form_is_refused() {
        let answer =
            Answer::parse(b"{\"service\":\"b\",\"host\":\"8fb9da85c979\",\"port\":17729}\n").unwrap();
        assert_eq!(
            (answer.service.as_str(), answer.port, answer.weight),
            ("b", 17729, None)
        );
        let answer = Answer::parse(b"{\"service\":\"b\",\"host\":\"h\",\"port\":1,\"weight\":15}\n").unwrap();
        assert_eq!(answer.weight, Some(15));
        for wrong in [
            "{\"service\":\"b\",\"host\":\"h\",\"port\":1}",
            "{\"host\":\"h\",\"service\":\"b\",\"port\":1}\n",
            "{\"service\":\"b\",\"host\":\"h\",\"port\":1,\"more\":2}\n",
            "{\"service\":\"b\",\"host\":\"h\"}\n",
            "nonsense",
        ] {
            assert!(Answer::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
