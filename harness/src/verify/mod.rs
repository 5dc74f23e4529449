//! End-to-end verification: the suite, its scenarios and checks, traffic, and service-level objectives.

pub mod checks;
pub mod conntrack;
pub mod load;
pub mod objectives;
pub mod scenarios;
pub mod selftest;
pub mod suite;
pub mod traffic;
