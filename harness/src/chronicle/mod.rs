//! What happened, on one clock.

pub mod clock;
