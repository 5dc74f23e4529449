//! Measures proxies on loopback: load generators and a backend, peer proxies to compare with, process accounting,
//! statistics and tables. Independent of the mesh: a measured proxy is a program with an address.

pub mod backend;
pub mod descriptor_limit;
pub mod error;
pub mod http;
pub mod load;
pub mod peer;
pub mod process_usage;
pub mod program;
pub mod proxy;
mod report;
mod request;
pub mod results;
pub mod statistics;
pub mod table;
pub mod worker;

pub use error::Error;
