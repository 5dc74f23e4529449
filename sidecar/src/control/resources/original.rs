//! Features of the original that this sidecar does not have: its threads, its buffers' sizes, its certificates.
//!
//! The original's clients read these from every answer, so answers contain the original's defaults. They cannot be
//! set: a body that names one is refused with the reason.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::spec::Unsupported;

/// The size of a connection's buffers in the original, in bytes. Nothing here has that size.
pub(super) const BUFFER_SIZE: u32 = 16_384;
/// The thread group that the original runs health checks on.
pub(super) const CONTROL: &str = "(control-elg)";
/// The thread group that the original accepts connections on.
pub(super) const ACCEPTOR: &str = "(acceptor-elg)";
/// The thread group that the original relays on.
pub(super) const WORKER: &str = "(worker-elg)";

/// Why the original's threads cannot be chosen.
const NO_THREADS: &str = "the number of threads is set by --workers at start";
/// Why the original's buffers cannot be sized.
const NO_SIZES: &str = "buffers have the size that serves best";
const NOT_HERE: &str = "not here: it is answered and cannot be set";

/// A group of the original's threads; always the same.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EventLoopGroup {
    /// Its name.
    name: &'static str,
    /// Its threads.
    event_loop_list: Vec<EventLoop>,
}

/// A thread of the original; always the same.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EventLoop {
    /// Its name.
    name: &'static str,
}

/// The schema of a field that is always null.
pub(super) fn null() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Null)
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

/// The fields of a server group that cannot be set.
pub(super) const CHECK_FIELDS: &[Unsupported] = &[Unsupported {
    name: "eventLoopGroup",
    // The original's own text, which its error messages show.
    help: "choose a event-loop-group for the server group. health check operations will be performed on the event loop \
           group",
    reason: NO_THREADS,
    in_update: true,
}];

/// The fields of a listener that cannot be set.
pub(super) const LISTENER_FIELDS: &[Unsupported] = &[
    Unsupported {
        name: "acceptorLoopGroup",
        help: NOT_HERE,
        reason: NO_THREADS,
        in_update: false,
    },
    Unsupported {
        name: "workerLoopGroup",
        help: NOT_HERE,
        reason: NO_THREADS,
        in_update: false,
    },
    Unsupported {
        name: "inBufferSize",
        help: NOT_HERE,
        reason: NO_SIZES,
        in_update: true,
    },
    Unsupported {
        name: "outBufferSize",
        help: NOT_HERE,
        reason: NO_SIZES,
        in_update: true,
    },
];
