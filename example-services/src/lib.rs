//! The programs of the example mesh.
