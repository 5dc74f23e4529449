//! The HTTP door: JSON over HTTP/1.1, mapped one to one on commands. It has no logic of its own.
//!
//! [`routes`] has every path ([`modules`] those of resources), [`bodies`] every body, and [`views`] every answer;
//! the router, the reading of bodies and the description of the API in [`openapi`] all go by these. [`change`] makes
//! a command of a request.

mod answers;
mod bodies;
mod body;
mod change;
mod field;
mod modules;
mod openapi;
mod original;
mod routes;
mod shape;
#[cfg(test)]
mod tests;
mod token;
mod views;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::ORIGIN;
use hyper::{Method, Request, StatusCode};
use percent_encoding::percent_decode_str;

use super::controller::Controller;
use super::reply::Reply;
use crate::http::{self, Answer};
use answers::{from_web_page, nothing_at, refused, unread};
use change::Change;
use routes::{Leads, ROUTES, Route};
pub use token::TokenCheck;

/// The largest body, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// Answers one request. With a token, only to callers that show it.
pub async fn handle(
    controller: Arc<Controller>,
    token: Option<TokenCheck>,
    request: Request<Incoming>,
) -> Answer {
    if let Err(answer) = token::check(token.as_ref(), request.headers()).await {
        return *answer;
    }
    if request.headers().contains_key(ORIGIN) {
        // A web page may make its reader's browser send here; browsers say so (Fetch Standard, `Origin` header).
        return from_web_page();
    }
    let (method, path) = (request.method(), request.uri().path());
    let Some((route, names)) = find(method, path) else {
        return nothing_at(method, path);
    };
    let force = match force(route, request.uri().query()) {
        Ok(force) => force,
        Err(message) => return refused(message),
    };
    match &route.leads {
        Leads::Change(change) => execute(&controller, change, &names, force, request).await,
        Leads::Read(read) => match (read.read)(&controller, &names) {
            Ok(found) => http::json(StatusCode::OK, &found),
            Err(error) => unread(&error),
        },
        Leads::Document => http::json(StatusCode::OK, &openapi::document(token.is_some())),
    }
}

async fn execute(
    controller: &Controller,
    change: &Change,
    names: &[String],
    force: Option<bool>,
    request: Request<Incoming>,
) -> Answer {
    let body = match http::body(request, MAX_BODY).await {
        Ok(body) => body,
        Err(error) => return refused(error.to_string()),
    };
    let (command, said) = match change.command(names, force, &body) {
        Ok(understood) => understood,
        Err(fault) => return fault.into(),
    };
    match controller.execute(command).await {
        Ok(Reply::Unsaved(error)) => answers::error(StatusCode::INTERNAL_SERVER_ERROR, error.of_a_change()),
        Ok(_) => http::empty(StatusCode::NO_CONTENT),
        Err(error) => refused(said.explain(&error)),
    }
}

/// The route of a request, and the names in its path.
fn find(method: &Method, path: &str) -> Option<(&'static Route, Vec<String>)> {
    let segments = segments(path)?;
    let mut routes = ROUTES.iter().filter(|route| route.method == *method);
    routes.find_map(|route| Some((route, route.names(&segments)?)))
}

/// The parts of a path, percent-decoded; `None` where one is not UTF-8.
fn segments(path: &str) -> Option<Vec<String>> {
    path.split('/')
        .skip(1)
        .map(|s| percent_decode_str(s).decode_utf8().ok().map(|s| s.into_owned()))
        .collect()
}

/// Whether a removal is to be forced, as the query says; no other query is known.
fn force(route: &Route, query: Option<&str>) -> Result<Option<bool>, String> {
    let removes = matches!(&route.leads, Leads::Change(change) if change.removes());
    let mut force = None;
    for pair in query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
    {
        force = match pair.split_once('=').unwrap_or((pair, "")) {
            ("force", "true") if removes => Some(true),
            ("force", "false") if removes => Some(false),
            ("force", other) if removes => {
                return Err(format!("force {other:?} is not valid; expected true or false"));
            }
            (other, _) if removes => {
                return Err(format!(
                    "query {other:?} is not recognized; expected force=true or none"
                ));
            }
            (other, _) => return Err(format!("query {other:?} is not recognized; expected none")),
        };
    }
    Ok(force)
}
