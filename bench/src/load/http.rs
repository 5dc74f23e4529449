//! One HTTP request per connection.

use std::io::{self, Read, Write};

use serde_json::Value;

use super::client::Target;

/// Maximum length of a response, in bytes.
const MAX_RESPONSE: u64 = 64 * 1024;

/// Requests `path` (with its query) and returns the string field `field` of the JSON object in the response.
pub(super) fn exchange(target: &Target, path: &str, field: &str) -> io::Result<String> {
    let mut stream = target.connect()?;
    let host = target.address;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut response = Vec::with_capacity(512);
    stream.take(MAX_RESPONSE).read_to_end(&mut response)?;
    string_field(&response, field).map_err(io::Error::other)
}

/// The string field `field` of a complete response with status 200.
fn string_field(response: &[u8], field: &str) -> Result<String, String> {
    let text = String::from_utf8_lossy(response);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or_else(|| format!("no HTTP response: {text:?}"))?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    if status != "200" {
        return Err(format!("status {status}: {}", body.trim_end()));
    }
    let body: Value = serde_json::from_str(body).map_err(|error| format!("{body:?}: {error}"))?;
    let value = body[field].as_str();
    value
        .map(str::to_owned)
        .ok_or_else(|| format!("no string {field:?} in {body}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(response: &[u8]) -> Result<String, String> {
        string_field(response, "host")
    }

    #[test]
    fn only_a_complete_successful_response_is_counted() {
        let answer = "{\"service\":\"b\",\"host\":\"8fb9da85c979\",\"port\":17729}\n";
        let response = format!("HTTP/1.1 200 OK\r\ncontent-length: 51\r\n\r\n{answer}");
        assert_eq!(host(response.as_bytes()), Ok("8fb9da85c979".to_owned()));
        let truncated = &response[..response.len() - 4];
        for other in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\n\r\n{\"host\":1}",
            "HTTP/1.1 503 Service Unavailable\r\n\r\n{}",
            truncated,
        ] {
            assert!(host(other.as_bytes()).is_err(), "{other}");
        }
        let failed = host(b"HTTP/1.1 503 Service Unavailable\r\n\r\n{\"error\":1}\n");
        assert_eq!(failed, Err("status 503: {\"error\":1}".to_owned()));
    }
}
