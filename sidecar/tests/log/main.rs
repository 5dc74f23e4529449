//! The executable's log under stress: nobody reads it, or something repeats itself.

mod dropped;
#[path = "../common/kill.rs"]
mod kill;
mod program;
mod repetitions;
mod stalled;
