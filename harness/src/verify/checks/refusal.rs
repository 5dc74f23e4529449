//! Checks that a request to a service without an instance fails at once, with a reason.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use crate::cluster::topology::{HTTP_LB, LB, Route, VIA_HTTP, VIA_LB};
use crate::http::{self, HttpError, Response};

/// Limit for the refusal; below the frontend's own timeout of 5 s.
const LIMIT: Duration = Duration::from_secs(1);

/// The sidecar's word for the lack of an instance.
const NO_INSTANCE: &str = "no-instance";

/// The frontend's body for a request that it cannot answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrontendError {
    /// The status's reason phrase, such as `bad gateway`.
    pub error: String,
    /// The requested service.
    pub service: String,
    /// How the frontend requested it: `socks5`, `lb` or `http`.
    pub via: String,
    /// What went wrong.
    pub reason: String,
}

/// Checks that a request to a service without an instance fails within a second: the frontend and a load balancer of
/// requests answer with a JSON error, a load balancer of connections closes the connection.
///
/// # Errors
/// A description of what happened instead.
pub async fn is_refused((route, address): &(Route, SocketAddr)) -> Result<(), String> {
    let response = http::get(*address, &route.target, LIMIT).await;
    let refused = match response {
        Ok(_) if route.entry_point == LB => Err("an answer instead of a closed connection".to_owned()),
        Ok(response) if route.entry_point == HTTP_LB => check_own(&response),
        Ok(response) => check_body(route, &response),
        Err(HttpError::Connect(..) | HttpError::Answer(..)) if route.entry_point == LB => Ok(()),
        Err(error) => Err(error.to_string()),
    };
    refused.map_err(|instead| format!("{}: {instead}", route.name()))
}

/// Checks that the sidecar answered itself, with the reason.
fn check_own(response: &Response) -> Result<(), String> {
    let text = String::from_utf8_lossy(&response.body);
    if response.status == 503 && text.contains(NO_INSTANCE) {
        Ok(())
    } else {
        Err(format!("status {}: {}", response.status, text.trim_end()))
    }
}

/// Checks that the frontend's error names the service, the upstream, and the reason.
fn check_body(route: &Route, response: &Response) -> Result<(), String> {
    let text = String::from_utf8_lossy(&response.body);
    let seen = || format!("status {}: {}", response.status, text.trim_end());
    let refused: FrontendError = serde_json::from_slice(&response.body).map_err(|_| seen())?;
    // Others report that no instance is up; a load balancer of connections can only close the connection.
    let (status, error, via, reason) = match route.entry_point {
        VIA_LB => (502, "bad gateway", "lb", ""),
        VIA_HTTP => (503, "service unavailable", "http", NO_INSTANCE),
        _ => (503, "service unavailable", "socks5", "unreachable"),
    };
    let named = response.status == status
        && refused.error == error
        && refused.service == route.service
        && refused.via == via
        && !refused.reason.is_empty()
        && refused.reason.contains(reason);
    if named { Ok(()) } else { Err(seen()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::topology::SOCKS5;

    fn checked(entry_point: &'static str, status: u16, body: &'static str) -> Result<(), String> {
        let route = Route {
            entry_point,
            service: "a".to_owned(),
            member: "frontend".to_owned(),
            container_port: 8080,
            target: "/service-a".to_owned(),
        };
        let body = bytes::Bytes::from_static(body.as_bytes());
        check_body(&route, &Response { status, body })
    }

    #[test]
    fn the_error_must_name_the_service_the_upstream_and_the_reason() {
        let socks5 = r#"{"error":"service unavailable","service":"a","via":"socks5",
            "reason":"the socks5 server answered: host unreachable (0x04)"}"#;
        let lb = r#"{"error":"bad gateway","service":"a","via":"lb","reason":"connection closed"}"#;
        assert_eq!(checked(SOCKS5, 503, socks5), Ok(()));
        assert_eq!(checked(VIA_LB, 502, lb), Ok(()));
        let http = r#"{"error":"service unavailable","service":"a","via":"http",
            "reason":"the sidecar answered: no-instance"}"#;
        assert_eq!(checked(VIA_HTTP, 503, http), Ok(()));
        let silent = r#"{"error":"bad gateway","service":"a","via":"lb","reason":""}"#;
        let other = r#"{"error":"service unavailable","service":"b","via":"socks5","reason":"unreachable"}"#;
        let late = r#"{"error":"gateway timeout","service":"a","via":"socks5","reason":"gave up after 5 s"}"#;
        for (entry_point, status, body) in [
            (SOCKS5, 502, socks5),
            (SOCKS5, 502, lb),
            (SOCKS5, 503, other),
            (SOCKS5, 504, late),
            (SOCKS5, 503, "unavailable"),
            (VIA_LB, 502, silent),
            (VIA_LB, 502, "{}"),
            (VIA_HTTP, 503, socks5),
            (VIA_HTTP, 502, http),
        ] {
            assert!(
                checked(entry_point, status, body).is_err(),
                "{entry_point} {status} {body}"
            );
        }
    }
}
