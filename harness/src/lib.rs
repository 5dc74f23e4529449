//! Launches the example mesh, verifies it end to end, injects faults, measures, and reports.

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
pub mod invocation;
pub mod project;
pub mod report;
pub mod timeline;
pub mod verify;
pub mod wait;
