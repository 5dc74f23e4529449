//! The mesh key: seals what nodes say to each other, and opens it. Without a key the wire is the original's.
//!
//! | file                | responsibility                                                       |
//! |---------------------|----------------------------------------------------------------------|
//! | [`keys`]            | the keys of a file: parsing, making one                              |
//! | [`envelope`]        | a sealed message: its bytes, and what is authenticated besides them  |
//! | [`replay_window`]   | which counters of one boot have been seen                            |
//! | [`boots`]           | whose boot numbers are known, and what was asked to learn one        |
//! | [`mesh_key`]        | all of them for one node: what its sockets call                      |
//! | [`refusals`]        | counts what was refused, and names nodes with another key or none    |
//! | [`reload`]          | reads the file, and reads it again                                   |
//! | `datagrams`         | datagrams with or without a key                                      |
//!
//! All but `mesh_key`, which draws random numbers, and `reload` are pure. docs/key.md describes the protocol.

pub mod boots;
mod datagrams;
pub mod envelope;
pub mod keys;
mod mesh_key;
mod refusals;
pub mod reload;
pub mod replay_window;

pub(super) use datagrams::{Heard, encode, read};
pub use keys::{KeyFileError, Keys};
pub use mesh_key::{Admission, Asked, Asking, MeshKey, OpenedDatagram, Question};
pub use refusals::{Refusal, Refusals};

/// The media type of a sealed body.
pub(super) const SEALED_TYPE: &str = "application/octet-stream";
