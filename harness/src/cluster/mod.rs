//! What is started: the mesh, its image and its topology, and when it is ready.

pub mod answer;
pub mod checkout;
pub mod cleanup;
pub mod convergence;
pub mod file_lock;
pub mod image;
pub mod mesh;
pub mod mesh_view;
pub mod ports;
pub mod project;
pub mod topology;
