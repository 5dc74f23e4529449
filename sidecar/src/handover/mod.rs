//! Restart without a lost connection: a sidecar without a program of its own starts its successor on SIGUSR2, and hands over
//! its sockets and its state.
//!
//! ```text
//! predecessor                                          successor
//! ------------------------------------------------------------------------------------------------
//! starts it with all sockets (LISTEN_FDS)     ->       takes the sockets, opens nothing itself
//!                                             <-       Started
//! holds changes back, sends its state         ->       applies it; accepts and reads nothing yet
//!                                             <-       Ready
//! stops accepting and reading                 ->       TakeOver: accepts, reads, answers
//! drains its connections, ends
//! ```
//!
//! At each moment one of them reads each socket. What arrives in between waits in the kernel: connections in the backlog,
//! datagrams in the socket's buffer. A successor that ends, or is not ready in time, is killed, and the predecessor goes
//! on as before.
//!
//! | file | has |
//! |---|---|
//! | [`state`] | the state's format; pure |
//! | [`successor`] | the predecessor's side: starts the successor, hands over, ends it if it fails |
//! | [`predecessor`] | the successor's side |
//! | [`parent`] | the link to the process that was started first |
//! | [`launch`] | the hidden subcommand that becomes the successor |
//!
//! The process that was started first stays as the parent of all successors: it forwards signals to the one that serves
//! and ends with its code. So a container whose process 1 it is, a service manager that watches it, and a shell that
//! waits for it notice nothing. A later successor ends as soon as it has handed over and drained; the kernel then makes
//! the first process the parent of its successor (PR_SET_CHILD_SUBREAPER).

pub mod launch;
pub mod parent;
pub mod predecessor;
pub mod state;
pub mod successor;

pub use launch::RelaunchArgs;
pub use predecessor::Predecessor;
pub use state::State;
pub use successor::Successor;

/// Names in LISTEN_FDNAMES: the channel between predecessor and successor, and the link to the first process.
const CHANNEL: &str = "sidecar-handover";
const PARENT: &str = "sidecar-parent";

/// A message of the successor: it runs, and waits for the state.
const STARTED: u8 = 1;
/// A message of the successor: it can take over.
const READY: u8 = 2;
/// The message of the predecessor after its state: it reads no socket any more.
const TAKE_OVER: u8 = 3;
