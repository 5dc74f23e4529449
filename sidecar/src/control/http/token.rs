//! The bearer token that callers must present if one is configured (RFC 6750, section 2.1).

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};

use super::answers;
use crate::http::Answer;

/// Checks a token. Takes the same time for every wrong one.
pub type TokenCheck = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Delay of the answer to a wrong token, so that guessing is slow.
const WRONG_TOKEN_PAUSE: Duration = Duration::from_millis(500);

/// Checks that a request presents the token.
///
/// # Errors
/// The answer to a request that does not.
pub(super) async fn check(token: Option<&TokenCheck>, headers: &HeaderMap) -> Result<(), Box<Answer>> {
    match token {
        Some(is_right) if !shown(headers).is_some_and(|token| is_right(token)) => {}
        _ => return Ok(()),
    }
    tokio::time::sleep(WRONG_TOKEN_PAUSE).await;
    let mut answer = answers::error(
        StatusCode::UNAUTHORIZED,
        "a token is required; expected the header `authorization: Bearer TOKEN`",
    );
    answer
        .headers_mut()
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    Err(Box::new(answer))
}

fn shown(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
