//! How a path to a service without an instance fails: at once, and with its reason.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use crate::cluster::topology::{LB, Route, VIA_LB};
use crate::http::{self, HttpError, Response};

/// Time within which such a request fails; the frontend itself would wait 5 s.
const LIMIT: Duration = Duration::from_secs(1);

/// What the frontend says of a request that it cannot answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    error: String,
    service: String,
    via: String,
    reason: String,
}

/// Asks on a route to a service that has no instance: the frontend says so as JSON, a load balancer closes the
/// connection without a word, both within a second.
///
/// # Errors
/// What happened instead.
pub(super) async fn is_refused((route, address): &(Route, SocketAddr)) -> Result<(), String> {
    let response = http::get(*address, &route.target, LIMIT).await;
    let refused = match response {
        Ok(_) if route.way == LB => Err("an answer instead of a closed connection".to_owned()),
        Ok(response) => understood(route, &response),
        Err(HttpError::Connect(..) | HttpError::Answer(..)) if route.way == LB => Ok(()),
        Err(error) => Err(error.to_string()),
    };
    refused.map_err(|instead| format!("{}: {instead}", route.name()))
}

/// Whether the frontend names the service, the way, and what is the matter.
fn understood(route: &Route, response: &Response) -> Result<(), String> {
    let text = String::from_utf8_lossy(&response.body);
    let told = || format!("status {}: {}", response.status, text.trim_end());
    let refused: Refused = serde_json::from_slice(&response.body).map_err(|_| told())?;
    // A SOCKS5 server says that no instance is up; a load balancer can only close the connection.
    let (status, error, via, reason) = if route.way == VIA_LB {
        (502, "bad gateway", "lb", "")
    } else {
        (503, "service unavailable", "socks5", "unreachable")
    };
    let named = response.status == status
        && refused.error == error
        && refused.service == route.service
        && refused.via == via
        && !refused.reason.is_empty()
        && refused.reason.contains(reason);
    if named { Ok(()) } else { Err(told()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::topology::SOCKS5;

    fn told(way: &'static str, status: u16, body: &'static str) -> Result<(), String> {
        let route = Route {
            way,
            service: "a".to_owned(),
            member: "frontend".to_owned(),
            container_port: 8080,
            target: "/service-a".to_owned(),
        };
        let body = bytes::Bytes::from_static(body.as_bytes());
        understood(&route, &Response { status, body })
    }

    #[test]
    fn the_frontend_must_name_service_way_and_reason() {
        let socks5 = r#"{"error":"service unavailable","service":"a","via":"socks5",
            "reason":"the socks5 server answered: host unreachable (0x04)"}"#;
        let lb = r#"{"error":"bad gateway","service":"a","via":"lb","reason":"connection closed"}"#;
        assert_eq!(told(SOCKS5, 503, socks5), Ok(()));
        assert_eq!(told(VIA_LB, 502, lb), Ok(()));
        let silent = r#"{"error":"bad gateway","service":"a","via":"lb","reason":""}"#;
        let other = r#"{"error":"service unavailable","service":"b","via":"socks5","reason":"unreachable"}"#;
        let late = r#"{"error":"gateway timeout","service":"a","via":"socks5","reason":"gave up after 5 s"}"#;
        for (way, status, body) in [
            (SOCKS5, 502, socks5),
            (SOCKS5, 502, lb),
            (SOCKS5, 503, other),
            (SOCKS5, 504, late),
            (SOCKS5, 503, "unavailable"),
            (VIA_LB, 502, silent),
            (VIA_LB, 502, "{}"),
        ] {
            assert!(told(way, status, body).is_err(), "{way} {status} {body}");
        }
    }
}
