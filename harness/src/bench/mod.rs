//! Measuring: the data plane beside other proxies of its kind, a whole mesh, and how fast one
//! converges. No verdict is given: the figures are for people.

pub mod accounting;
pub mod backend;
pub mod contenders;
pub mod convergence;
pub mod data_plane;
mod helpers;
pub mod load;
pub mod mesh;
pub mod peer;
mod report;
pub mod results;
mod room;
pub mod site;
mod stand;
pub mod statistics;
mod wire;
