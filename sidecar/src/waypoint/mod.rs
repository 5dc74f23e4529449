//! A waypoint: a sidecar that stands beside a service of somebody's project, under the service's name, and balances its
//! replicas, which it finds by that name in DNS.
//!
//! `config` is what it is told to do, from its file or the command line; `plan` turns that into commands of the control plane
//! and decides which ports are open, both pure; `reader` reads the file, and `run` is the loop around them all. It has no
//! controller, discovery or program.

pub mod config;
mod plan;
mod reader;
mod run;

pub use config::{Check, Config, ConfigError, DEFAULT_HOLD, Port, Target};
pub(crate) use run::run;
