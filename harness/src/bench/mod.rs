//! Measuring: the data plane beside other proxies of its kind, and a whole mesh. No verdict is given: the figures are for people.

pub mod accounting;
pub mod backend;
pub mod contenders;
pub mod data_plane;
mod helpers;
pub mod load;
pub mod mesh;
pub mod peer;
mod report;
pub mod results;
mod room;
mod stand;
pub mod statistics;
mod wire;
