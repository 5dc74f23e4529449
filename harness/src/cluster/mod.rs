//! A mesh on an engine: its topology, image and ports, starting and changing it, its readiness, and its removal.

pub mod answer;
pub mod checkout;
pub mod cleanup;
pub mod convergence;
pub mod file_lock;
pub mod image;
pub mod mesh;
pub mod mesh_key;
pub mod mesh_view;
pub mod ports;
pub mod project;
pub mod resources;
pub mod status;
pub mod topology;
