//! What is checked: the suite and its scenarios, the traffic they judge, and the objectives they measure.

pub mod conntrack;
pub mod objectives;
pub mod scenarios;
pub mod selftest;
pub mod suite;
pub mod traffic;
