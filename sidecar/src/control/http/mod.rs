//! The HTTP controller: JSON over HTTP/1.1, mapped one to one on commands.
//!
//! [`routes`] lists every path, generated from the resources' specifications; the router and the description of the
//! API in [`openapi`] use it. [`body`] reads bodies, which deserialise to commands.

mod answers;
mod body;
mod openapi;
mod routes;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::ORIGIN;
use hyper::{Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::controller::Controller;
use super::remarks::Parsed;
use super::reply::Reply;
use super::resources::Removal;
use crate::http::{self, Answer};
use answers::{from_web_page, no_such_path, not_read, refused};
use routes::{Change, Leads, ROUTES, Route};
pub use token::TokenCheck;

/// Maximum size of a body, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// Answers one request. If there is a token, only callers that present it are served.
pub async fn handle(
    controller: Arc<Controller>,
    token: Option<TokenCheck>,
    request: Request<Incoming>,
) -> Answer {
    if let Err(answer) = token::check(token.as_ref(), request.headers()).await {
        return *answer;
    }
    if request.headers().contains_key(ORIGIN) {
        // A web page can make its reader's browser send requests here; browsers then add this header (Fetch
        // Standard).
        return from_web_page();
    }
    let (method, uri) = (request.method(), request.uri());
    let Some((route, names)) = find(method, uri.path()) else {
        return no_such_path(method, uri.path_and_query().map_or("", |path| path.as_str()));
    };
    match &route.leads {
        Leads::Change(change) => {
            let removal = match removal(uri.query()) {
                Ok(removal) => removal,
                Err(message) => return refused(message),
            };
            execute(&controller, change, &names, removal, request).await
        }
        Leads::Read(reading) => match controller.read(|at| reading.read(at, &names)) {
            Ok(found) => http::json(StatusCode::OK, &found),
            Err(error) => not_read(&error),
        },
        Leads::Nothing => http::json(StatusCode::OK, &Value::Array(Vec::new())),
        Leads::Document => http::json(StatusCode::OK, &openapi::document(token.is_some())),
    }
}

async fn execute(
    controller: &Controller,
    change: &Change,
    names: &[String],
    removal: Removal,
    request: Request<Incoming>,
) -> Answer {
    if let Err(answer) = answers::uncoded(&request) {
        return *answer;
    }
    let body = match http::body(request, MAX_BODY).await {
        Ok(body) => body,
        Err(error @ http::BodyError::TooLarge(_)) => {
            return answers::error(StatusCode::PAYLOAD_TOO_LARGE, error.to_string());
        }
        Err(error @ http::BodyError::Incomplete) => {
            return answers::error(StatusCode::REQUEST_TIMEOUT, error.to_string());
        }
    };
    let Parsed { command, remarks } = match change.command(names, removal, &body) {
        Ok(parsed) => parsed,
        Err(error) => return error.into(),
    };
    let outcome = controller.execute(command).await;
    if outcome.is_ok() {
        remarks.log("HTTP controller");
    }
    match outcome {
        Ok(Reply::Unsaved(error)) => answers::error(StatusCode::INTERNAL_SERVER_ERROR, error.of_a_change()),
        Ok(_) => http::empty(StatusCode::NO_CONTENT),
        Err(error) => refused(error.to_string()),
    }
}

/// The route of a request, with the names in its path.
fn find(method: &Method, path: &str) -> Option<(&'static Route, Vec<String>)> {
    let segments = segments(path)?;
    // The answer to HEAD is that to GET without its body.
    let method = if *method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let mut routes = ROUTES.iter().filter(|route| route.method == *method);
    routes.find_map(|route| Some((route, route.names(&segments)?)))
}

/// The parts of a path, percent-decoded; `None` if one is not UTF-8. As in the original, empty ones do not count: a slash
/// at the end changes nothing.
fn segments(path: &str) -> Option<Vec<String>> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(|s| percent_decode_str(s).decode_utf8().ok().map(|s| s.into_owned()))
        .collect()
}

/// What a removal does about users of the resource, as the query says. Other queries are ignored, as in the original.
fn removal(query: Option<&str>) -> Result<Removal, String> {
    let mut removal = Removal::Unused;
    for pair in query.unwrap_or_default().split('&') {
        removal = match pair.split_once('=') {
            Some(("cascade", "true")) => Removal::Cascade,
            Some(("cascade", "false")) => Removal::Unused,
            Some(("cascade", other)) => {
                return Err(format!("cascade {other:?} is not valid; expected true or false"));
            }
            Some(("force", "true")) => Removal::Force,
            _ => removal,
        };
    }
    Ok(removal)
}
