//! The fields of a message that are about one connection, which none behind it may see (RFC 9110, section 7.6.1). Pure.

use hyper::HeaderMap;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// The fields of any message that are about one connection.
static OF_CONNECTION: [HeaderName; 5] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Those that are removed from a request.
static OF_REQUEST: [HeaderName; 8] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    HTTP2_SETTINGS,
    TE,
    EXPECT,
];

/// The only value of `TE` that passes: it is about trailers, which pass.
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// Removes what is about the connection to the client. Returns whether the request asks for an upgrade, which stays.
///
/// An upgrade to HTTP/2 is not passed on (RFC 9113, section 3.1): the instance would answer further requests of the connection,
/// which nobody has balanced.
pub(super) fn strip_request(headers: &mut HeaderMap) -> bool {
    if !has_any(headers, &OF_REQUEST) {
        return false;
    }
    let upgrade = upgrade(headers);
    let trailers = headers.get_all(TE).iter().any(|te| lists(te, "trailers"));
    strip(headers);
    headers.remove(HTTP2_SETTINGS);
    headers.remove(TE);
    // The sidecar itself answers it with 100 once the instance takes the body.
    headers.remove(EXPECT);
    if trailers {
        headers.insert(TE, TRAILERS);
    }
    match upgrade {
        Some(protocol) => {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, protocol);
            true
        }
        None => false,
    }
}

/// Removes what is about the connection to the instance; of an answer that `switches` protocols, the upgrade stays.
pub(super) fn strip_answer(headers: &mut HeaderMap, switches: bool) {
    if !has_any(headers, &OF_CONNECTION) {
        return;
    }
    let protocol = if switches { headers.remove(UPGRADE) } else { None };
    strip(headers);
    if let Some(protocol) = protocol {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
}

/// Time in seconds for which an instance says that it keeps an idle connection.
pub(super) fn keep_alive_timeout(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(KEEP_ALIVE)?.to_str().ok()?;
    let mut parameters = value.split(',').filter_map(|parameter| parameter.split_once('='));
    let (_, seconds) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"))?;
    seconds.trim().parse().ok()
}

/// The protocol that a request asks to upgrade to, other than HTTP.
fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let protocol = headers.get(UPGRADE)?;
    let mut options = headers.get_all(CONNECTION).iter();
    let asked = options.any(|option| lists(option, "upgrade"));
    (asked && !lists(protocol, "h2c")).then(|| protocol.clone())
}

/// Whether one of the fields is there. Most messages have none of them, which is cheaper to see than to remove each.
fn has_any(headers: &HeaderMap, fields: &[HeaderName]) -> bool {
    headers.keys().any(|name| fields.contains(name))
}

fn strip(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(options)
            // The target of the request is never about the connection alone, whatever its sender says.
            .filter_map(|option| HeaderName::from_bytes(option).ok())
            .filter(|name| *name != HOST)
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        // It says nothing then (RFC 9112, section 6.3), and the next reader would believe it.
        headers.remove(CONTENT_LENGTH);
    }
    for name in &OF_CONNECTION {
        headers.remove(name);
    }
}

/// The items of a list.
fn options(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
}

fn lists(value: &HeaderValue, item: &str) -> bool {
    options(value).any(|option| option.eq_ignore_ascii_case(item.as_bytes()))
}
