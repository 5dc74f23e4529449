//! Launches the example mesh, checks it, breaks it, reports.

pub mod agreement;
pub mod answer;
pub mod checkout;
pub mod cleanup;
pub mod compose;
pub mod error;
pub mod figures;
pub mod http;
pub mod image;
pub mod interrupt;
pub mod load;
pub mod mesh;
pub mod owner;
pub mod ports;
pub mod report;
pub mod runtime;
pub mod scenarios;
pub mod topology;
pub mod view;
pub mod wait;
