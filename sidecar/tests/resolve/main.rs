//! Server groups that are filled from DNS, with a name server that the tests control.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

mod commands;
mod groups;
mod name_server;
mod support;
