//! Discovery between nodes: each part of the protocol step by step, whole meshes in simulated time, and nodes with
//! real sockets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod acceptance;
mod broadcast;
mod common;
mod concurrency;
mod connections;
mod forgery;
mod idle;
mod join;
mod key;
mod last_choice;
mod late;
mod learnt;
mod leave;
mod liar;
mod lists;
mod membership;
mod own_faults;
mod probe;
mod readdress;
mod recorded;
mod scale;
mod search;
mod settings;
mod shares;
mod simulation;
mod sockets;
mod sweep_time;
mod vectors;
mod wire;
mod wire_bounds;
