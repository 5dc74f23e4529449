//! The executable's log under stress: nobody reads it, or something repeats itself.

mod dropped;
mod program;
mod repetitions;
mod stalled;
