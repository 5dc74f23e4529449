//! HTTP through a listener: each request is balanced by itself, whatever its connection.
//!
//! A request's path, file by file:
//! * `client.rs` serves a client's connection with hyper, `http2.rs` one of HTTP/2; `stream.rs` counts its bytes, `clock.rs`
//!   decides when it is idle;
//! * `named.rs` looks up what the requests to a proxy name;
//! * `forward.rs` has the request sent: `headers.rs` and `target.rs` make it one of the sidecar, `source.rs` picks the
//!   endpoint, and `retry.rs` decides whether it may be sent again if the connection ends, `replay.rs` with its body;
//! * `instance.rs` has the connections to instances: those of `exclusive.rs` carry one request at a time, and are in a
//!   `pool.rs` while they are idle; those of `multiplexed.rs` carry many;
//! * `body.rs` passes the answer on, and `exchange.rs` ends the request with it; `answer.rs` has the sidecar's own answers;
//! * `forwarded.rs` tells instances whose request they get;
//! * `upgrade.rs` relays a connection that has left HTTP.
//!
//! All of a request happens on the worker of its client's connection: no other thread, lock or queue is involved.

mod answer;
mod body;
mod client;
mod clock;
mod exchange;
mod exclusive;
mod forward;
mod forwarded;
mod headers;
mod http2;
mod instance;
mod multiplexed;
mod named;
mod pool;
mod replay;
mod retry;
mod settings;
mod source;
mod stream;
mod target;
mod upgrade;

pub(super) use client::serve;
pub(super) use named::Named;
pub(super) use settings::Settings;
pub(super) use source::Source;
