//! The target of a request, made to mean the same to every instance (RFC 9112, section 3.2; RFC 9113, section 8.3.1). Pure.

use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::http::uri::{Authority, PathAndQuery, Scheme, Uri};
use hyper::{Method, Version};

/// Why a request's target is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TargetError {
    #[error("the target's form is not one of the method")]
    Form,
    #[error("the request has no Host field")]
    NoHost,
    #[error("the request has more than one Host field")]
    Hosts,
    #[error("the Host field is not a host")]
    NotHost,
    #[error("the Host field differs from :authority")]
    OtherHost,
}

/// Gives a request the form in which instances get it: HTTP/1 origin-form with one `Host`, HTTP/2 with `:authority`.
pub(super) fn normalise(
    version: Version,
    method: &Method,
    uri: &mut Uri,
    headers: &mut HeaderMap,
) -> Result<(), TargetError> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(TargetError::Hosts);
    }
    if version == Version::HTTP_2 {
        return of_stream(method, uri, host);
    }
    if !form_fits(method, uri) {
        return Err(TargetError::Form);
    }
    match host {
        None if version == Version::HTTP_11 => return Err(TargetError::NoHost),
        Some(host) if !is_host(host) => return Err(TargetError::NotHost),
        _ => {}
    }
    // In absolute form the target says the host, whatever the field does.
    if *method != Method::CONNECT
        && let Some(authority) = uri.authority()
    {
        let host = HeaderValue::from_str(without_user(authority)).map_err(|_| TargetError::NotHost)?;
        headers.insert(HOST, host);
        let path = uri.path_and_query().cloned();
        *uri = Uri::from(path.unwrap_or(PathAndQuery::from_static("/")));
    }
    Ok(())
}

/// Whether a target of HTTP/1 has the form that its method takes: only CONNECT takes an authority, and only OPTIONS an asterisk.
fn form_fits(method: &Method, uri: &Uri) -> bool {
    let is_authority = uri.authority().is_some() && uri.scheme().is_none();
    is_authority == (*method == Method::CONNECT) && (uri.path() != "*" || *method == Method::OPTIONS)
}

fn of_stream(method: &Method, uri: &mut Uri, host: Option<&HeaderValue>) -> Result<(), TargetError> {
    let Some(host) = host else {
        return Ok(());
    };
    if let Some(authority) = uri.authority() {
        let same = authority
            .as_str()
            .as_bytes()
            .eq_ignore_ascii_case(host.as_bytes());
        return same.then_some(()).ok_or(TargetError::OtherHost);
    }
    if *method == Method::CONNECT {
        return Ok(());
    }
    let mut parts = std::mem::take(uri).into_parts();
    parts.authority = Some(Authority::try_from(host.as_bytes()).map_err(|_| TargetError::NotHost)?);
    parts.scheme.get_or_insert(Scheme::HTTP);
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    *uri = Uri::from_parts(parts).map_err(|_| TargetError::NotHost)?;
    Ok(())
}

/// A host and port as it may stand in a `Host` field; it may be empty.
fn is_host(host: &HeaderValue) -> bool {
    let refused = |byte: &u8| !byte.is_ascii_graphic() || b"/?#@\\,".contains(byte);
    !host.as_bytes().iter().any(refused)
}

fn without_user(authority: &Authority) -> &str {
    let text = authority.as_str();
    text.rsplit_once('@').map_or(text, |(_, host)| host)
}
