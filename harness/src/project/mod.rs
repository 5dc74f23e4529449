//! Any Compose project as a mesh: a waypoint, which is the sidecar's image, stands beside each service that others call,
//! and the callers' names for the service lead to it. The project's own files are read by Compose and never written.
//!
//! The decisions are pure: `model` reads what Compose's `config` prints, `plan` decides by it what is added,
//! `override_file` and `waypoint_file` write that down, `waypoints` compares it with what runs. The rest is the
//! surroundings: Compose, the engine, the folder `.mesh`.

pub mod addresses;
pub mod app_protocol;
mod callees;
pub mod compose_program;
mod consumers;
mod extension;
pub mod facts;
pub mod files;
pub mod folder;
pub mod generate;
mod health_check;
mod images;
pub mod listening;
pub mod model;
pub mod moved;
pub mod open;
pub mod override_file;
pub mod plan;
pub mod ports;
pub mod scaling;
pub mod settings;
pub mod status;
mod value;
mod warnings;
pub mod waypoint_file;
pub mod waypoints;

/// The image of waypoints: the sidecar's, of this version.
pub fn image() -> String {
    concat!("service-mesh-example:", env!("CARGO_PKG_VERSION")).to_owned()
}
