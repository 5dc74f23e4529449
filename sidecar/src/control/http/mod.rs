//! The HTTP door: JSON over HTTP/1.1, mapped one to one on commands. It has no logic of its own.

mod body;
mod registrations;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::controller::Controller;
use super::error::CommandError;
use super::grammar::Resource;
use super::reply::Reply;
use crate::http::{self, Answer};

/// Under this path is everything that commands reach.
const MODULE: &str = "/api/v1/module/";

/// Answers one request.
pub async fn handle(controller: Arc<Controller>, request: Request<Incoming>) -> Answer {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let Some(segments) = path.strip_prefix(MODULE).and_then(segments) else {
        return nothing_at(&method, &path);
    };
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["smart-node-delegate"] if method == Method::GET => registrations::list(&controller),
        ["smart-node-delegate"] if method == Method::POST => registrations::add(&controller, request).await,
        ["smart-node-delegate", name] if method == Method::GET => registrations::get(&controller, name),
        ["smart-node-delegate", name] if method == Method::DELETE => {
            registrations::remove(&controller, name).await
        }
        _ => nothing_at(&method, &path),
    }
}

/// The parts of a path, percent-decoded; `None` where one is not UTF-8.
fn segments(path: &str) -> Option<Vec<String>> {
    path.split('/')
        .map(|s| percent_decode_str(s).decode_utf8().ok().map(|s| s.into_owned()))
        .collect()
}

fn nothing_at(method: &Method, path: &str) -> Answer {
    http::text(StatusCode::NOT_FOUND, format!("Cannot {method} {path}\r\n"))
}

fn no_such(resource: Resource, name: &str) -> Answer {
    let message = format!("Cannot find {resource} with name {name}.");
    http::json(StatusCode::NOT_FOUND, &json!({"code": 404, "message": message}))
}

fn changed(outcome: Result<Reply, CommandError>) -> Answer {
    match outcome {
        Ok(_) => http::empty(StatusCode::NO_CONTENT),
        Err(error) => refused(&error.to_string()),
    }
}

fn refused(message: &str) -> Answer {
    http::json(StatusCode::BAD_REQUEST, &json!({"code": 400, "message": message}))
}
