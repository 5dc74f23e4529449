//! Launches the example mesh, checks it, breaks it, reports.

pub mod agreement;
pub mod answer;
pub mod chaos;
pub mod checkout;
pub mod chronicle;
pub mod cleanup;
pub mod clock;
pub mod compose;
pub mod error;
pub mod http;
pub mod image;
pub mod interrupt;
pub mod mesh;
pub mod owner;
pub mod ports;
pub mod promises;
pub mod report;
pub mod runtime;
pub mod scenarios;
pub mod selftest;
pub mod suite;
pub mod topology;
pub mod tracking;
pub mod traffic;
pub mod view;
pub mod wait;
