//! The bearer token that callers may have to show (RFC 6750, section 2.1).

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};

use super::answers;
use crate::http::Answer;

/// Whether a token is the right one. It takes the same time for every wrong one.
pub type TokenCheck = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// How long a caller without the token waits for its answer, so that guessing is slow.
const WRONG_TOKEN_PAUSE: Duration = Duration::from_millis(500);

/// Lets callers in that show the token.
///
/// # Errors
/// The answer for the others.
pub(super) async fn check(token: Option<&TokenCheck>, headers: &HeaderMap) -> Result<(), Box<Answer>> {
    match token {
        Some(is_right) if !shown(headers).is_some_and(|token| is_right(token)) => {}
        _ => return Ok(()),
    }
    tokio::time::sleep(WRONG_TOKEN_PAUSE).await;
    let mut answer = answers::error(
        StatusCode::UNAUTHORIZED,
        "this door asks for a token; expected the header `authorization: Bearer TOKEN`",
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
