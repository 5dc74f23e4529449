//! The benches: the sidecar compared with other proxies, a mesh under load, and the convergence of a mesh. They report
//! measurements without a verdict. The crate `bench` has the parts that do not depend on a mesh.

mod bench_mesh;
mod conntrack_wait;
pub mod convergence;
pub mod data_plane;
pub mod mesh;

pub use bench_mesh::BenchMesh;
