//! The frontend program.
fn main() {}
