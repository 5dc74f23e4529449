//! Random faults under traffic: what is done to a mesh is written down before it is done, so that it can be done
//! again and made shorter.

pub mod fault;
pub mod generate;
pub mod schedule;
pub mod shrink;

pub use fault::{Fault, Kind};
pub use generate::{Plan, generate};
pub use schedule::{Schedule, ScheduleError, Step};
pub use shrink::{Ended, Limits, Shrunk, shrink};
