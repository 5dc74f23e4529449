//! The benches: the sidecar compared with other proxies, a mesh under load, and how fast a mesh converges. They report
//! figures and judge none. Whatever needs no mesh is in the crate `bench`.

mod bench_mesh;
mod conntrack_wait;
pub mod convergence;
pub mod data_plane;
pub mod mesh;

pub use bench_mesh::BenchMesh;
