//! Features of the original that this sidecar does not have: its threads, its buffers' sizes, its certificates.
//!
//! The original's clients read these from every answer, so answers contain the original's defaults. Commands and bodies
//! may name them, as the original's saved configuration does: what only says how its threads and buffers are has no
//! effect, and any other value than what is done here is refused with the reason.

use serde::Serialize;

use super::spec::{Accepted, ForeignKey};
use crate::control::error::CommandError;

/// The size of a connection's buffers in the original, in bytes. Nothing here has that size.
pub(super) const BUFFER_SIZE: u32 = 16_384;
/// The thread group that the original runs health checks on.
pub(super) const CONTROL: &str = "(control-elg)";
/// The thread group that the original accepts connections on.
pub(super) const ACCEPTOR: &str = "(acceptor-elg)";
/// The thread group that the original relays on.
pub(super) const WORKER: &str = "(worker-elg)";

const GROUP: &str = "event-loop-group";
const LOOP: &str = "event-loop";
const NO_EFFECT: &str = "for the original's clients; accepted without effect";

/// A group of the original's threads; always the same.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EventLoopGroup {
    /// Its name.
    name: &'static str,
    /// Its threads.
    event_loop_list: Vec<EventLoop>,
}

/// A thread of the original; always the same.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct EventLoop {
    /// Its name.
    name: &'static str,
}

/// The schema of a field that is always null.
#[cfg(test)]
pub(super) fn null() -> utoipa::openapi::Object {
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::Type::Null)
        .description(Some("For the original's clients; always null."))
        .build()
}

fn threads(name: &'static str, threads: &[&'static str]) -> EventLoopGroup {
    EventLoopGroup {
        name,
        event_loop_list: threads.iter().map(|name| EventLoop { name }).collect(),
    }
}

pub(super) fn control() -> EventLoopGroup {
    threads(CONTROL, &["(control-el)"])
}

pub(super) fn acceptor() -> EventLoopGroup {
    threads(ACCEPTOR, &["(acceptor-el)"])
}

pub(super) fn worker() -> EventLoopGroup {
    threads(WORKER, &["(worker-el0)", "(worker-el1)"])
}

/// The resource of the original's threads that a word names.
fn thread_resource(word: &str) -> Option<&'static str> {
    match word {
        GROUP | "elg" => Some(GROUP),
        LOOP | "el" => Some(LOOP),
        _ => None,
    }
}

/// The resource of a command that makes or removes the original's threads: `event-loop-group NAME`, or `event-loop NAME to
/// event-loop-group NAME`. `words` follow the action. `None` if it is about another resource, or does not fit.
pub(in crate::control) fn threads_changed(words: &[&str], prepositions: &[&str]) -> Option<&'static str> {
    let (word, rest) = words.split_first()?;
    match (thread_resource(word)?, rest) {
        (GROUP, [_name, ..]) => Some(GROUP),
        (_, [_name, preposition, group, _, ..]) => {
            let fits = prepositions.contains(preposition) && thread_resource(group) == Some(GROUP);
            fits.then_some(LOOP)
        }
        _ => None,
    }
}

/// Whether a word is about the original's threads.
pub(in crate::control) fn is_about_threads(word: &str) -> bool {
    thread_resource(word).is_some() || [ACCEPTORS.word, ACCEPTORS.short].contains(&Some(word))
}

/// The error for a word about the original's threads, where it is not accepted.
pub(in crate::control) fn no_threads(word: &str) -> CommandError {
    CommandError::invalid(
        word,
        format!("{word} does not exist here: the number of threads is set by --workers at start"),
    )
}

const fn ignored(
    word: &'static str,
    short: Option<&'static str>,
    field: &'static str,
    in_update: bool,
) -> ForeignKey {
    ForeignKey {
        word: Some(word),
        short,
        field: Some(field),
        help: NO_EFFECT,
        accepted: Accepted::Any,
        in_update,
    }
}

/// What the original says about a server group's threads.
pub(super) const CHECK_KEYS: &[ForeignKey] = &[ForeignKey {
    // The original's own text, which its error messages show.
    help: "choose a event-loop-group for the server group. health check operations will be performed on the event loop \
           group",
    ..ignored(GROUP, Some("elg"), "eventLoopGroup", true)
}];

const ACCEPTORS: ForeignKey = ignored("acceptor-elg", Some("aelg"), "acceptorLoopGroup", false);
const WORKERS: ForeignKey = ignored(GROUP, Some("elg"), "workerLoopGroup", false);
const IN_BUFFER: ForeignKey = ignored("in-buffer-size", None, "inBufferSize", true);
const OUT_BUFFER: ForeignKey = ignored("out-buffer-size", None, "outBufferSize", true);
const TIMEOUT: ForeignKey = ForeignKey {
    word: Some("timeout"),
    short: None,
    field: None,
    help: "time without a byte before a connection is reset, in milliseconds",
    accepted: Accepted::Only(
        "900000",
        "use idle-timeout instead, without which no connection is reset because it is idle; 900000, the original's \
         default, is accepted",
    ),
    in_update: true,
};

/// What the original says about a SOCKS5 server's threads and buffers.
pub(super) const SOCKS5_KEYS: &[ForeignKey] = &[ACCEPTORS, WORKERS, IN_BUFFER, OUT_BUFFER, TIMEOUT];

/// What the original says about a load balancer's threads, buffers and certificates.
pub(super) const TCP_LB_KEYS: &[ForeignKey] = &[
    ACCEPTORS,
    WORKERS,
    IN_BUFFER,
    OUT_BUFFER,
    TIMEOUT,
    ForeignKey {
        word: Some("cert-key"),
        short: Some("ck"),
        field: Some("listOfCertKey"),
        help: "certificates: none",
        accepted: Accepted::Only("[]", "listeners have no TLS; leave it out"),
        in_update: true,
    },
];
