//! Tells an instance whose request it gets: `Forwarded` (RFC 7239) and the fields from before it. Pure.

use std::net::IpAddr;

use hyper::HeaderMap;
use hyper::header::{FORWARDED, HOST, HeaderName, HeaderValue};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FROM_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Adds a client, and the host that it asked for. What proxies before this one have said stays.
pub(super) fn add(headers: &mut HeaderMap, client: IpAddr, authority: Option<&str>) {
    let host = match (headers.get(HOST), authority) {
        (Some(host), _) => Some(host.clone()),
        (None, Some(authority)) => HeaderValue::from_str(authority).ok(),
        (None, None) => None,
    };
    let node = match client {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("\"[{ip}]\""),
    };
    let named = host.as_ref().and_then(|host| host.to_str().ok());
    let named = named.filter(|host| !host.contains(['"', '\\']));
    let element = match named {
        Some(host) => format!("for={node};host=\"{host}\";proto=http"),
        None => format!("for={node};proto=http"),
    };
    append(headers, FORWARDED, &element);
    append(headers, FOR, &client.to_string());
    headers.entry(PROTO).or_insert(HeaderValue::from_static("http"));
    if let Some(host) = host {
        headers.entry(FROM_HOST).or_insert(host);
    }
}

/// Appends an item to the list that all fields of a name are together, and makes them one.
fn append(headers: &mut HeaderMap, name: HeaderName, item: &str) {
    let mut list = Vec::new();
    for value in headers.get_all(&name) {
        list.extend_from_slice(value.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(item.as_bytes());
    // What was a value of fields, and an address or a host, is one.
    if let Ok(list) = HeaderValue::from_bytes(&list) {
        headers.insert(name, list);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(before: &[(HeaderName, &'static str)], client: &str) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in before {
            headers.append(name, HeaderValue::from_static(value));
        }
        add(&mut headers, client.parse().expect("an address"), None);
        let text = |name: &HeaderName| {
            let all = headers.get_all(name).iter();
            let all: Vec<_> = all.map(|value| value.to_str().expect("text")).collect();
            all.join("|")
        };
        [FORWARDED, FOR, PROTO, FROM_HOST].iter().map(text).collect()
    }

    #[test]
    fn a_request_says_its_client_host_and_scheme() {
        let expected = [
            "for=10.0.0.1;host=\"a:80\";proto=http",
            "10.0.0.1",
            "http",
            "a:80",
        ];
        assert_eq!(added(&[(HOST, "a:80")], "10.0.0.1"), expected);
        let expected = ["for=\"[fd00::1]\";proto=http", "fd00::1", "http", ""];
        assert_eq!(added(&[], "fd00::1"), expected);
    }

    #[test]
    fn what_proxies_before_have_said_stays() {
        let before = [
            (FOR, "1.1.1.1"),
            (FOR, "2.2.2.2"),
            (PROTO, "https"),
            (FROM_HOST, "public"),
            (FORWARDED, "for=1.1.1.1"),
        ];
        let expected = [
            "for=1.1.1.1, for=10.0.0.1;proto=http",
            "1.1.1.1, 2.2.2.2, 10.0.0.1",
            "https",
            "public",
        ];
        assert_eq!(added(&before, "10.0.0.1"), expected);
    }
}
