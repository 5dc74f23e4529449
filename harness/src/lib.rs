//! Launches the example mesh, checks it end to end, breaks it on purpose and reports.

pub mod bench;
pub mod chaos;
pub mod clock;
pub mod cluster;
pub mod compose;
pub mod console;
pub mod engine;
pub mod error;
pub mod http;
pub mod interrupt;
pub mod report;
pub mod timeline;
pub mod verify;
pub mod wait;
