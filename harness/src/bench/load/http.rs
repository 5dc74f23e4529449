//! A request to the mesh and the answer of one of its services.

use std::io::{self, Read, Write};

use super::client::Route;
use crate::cluster::answer::Answer;

/// The longest response that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Asks on a connection of its own; returns the host that has answered.
pub(super) fn ask(route: &Route, target: &str) -> io::Result<String> {
    let mut stream = route.connect()?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: mesh\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut response = Vec::with_capacity(512);
    stream.take(LONGEST).read_to_end(&mut response)?;
    host(&response).map_err(io::Error::other)
}

/// The host that a response names, which must be a service's answer whole.
fn host(response: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(response);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or_else(|| format!("no HTTP response: {text:?}"))?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    if status != "200" {
        return Err(format!("status {status}: {}", body.trim_end()));
    }
    Ok(Answer::parse(body.as_bytes())?.host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_services_answer_has_a_host() {
        let answer = "{\"service\":\"b\",\"host\":\"8fb9da85c979\",\"port\":17729}\n";
        let response = format!("HTTP/1.1 200 OK\r\ncontent-length: 51\r\n\r\n{answer}");
        assert_eq!(host(response.as_bytes()), Ok("8fb9da85c979".to_owned()));
        let cut = &response[..response.len() - 4];
        for other in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 503 Service Unavailable\r\n\r\n{}",
            cut,
        ] {
            assert!(host(other.as_bytes()).is_err(), "{other}");
        }
        let failed = host(b"HTTP/1.1 503 Service Unavailable\r\n\r\n{\"error\":1}\n");
        assert_eq!(failed, Err("status 503: {\"error\":1}".to_owned()));
    }
}
