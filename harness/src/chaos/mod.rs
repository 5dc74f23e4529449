//! Random faults under traffic: what is done to a mesh is written down before it is done, so that it can be done
//! again and made shorter.

pub mod execute;
pub mod fault;
#[cfg(test)]
mod fixtures;
pub mod generate;
pub mod ground;
pub mod ledger;
pub mod live;
pub mod netcuts;
pub mod network;
pub mod run;
pub mod schedule;
pub mod shrink;

pub use execute::{Moment, Target, Trouble, execute};
pub use fault::{Fault, Kind};
pub use generate::{Plan, generate};
pub use ground::{Ground, accepts, plan};
pub use ledger::Ledger;
pub use run::Endured;
pub use schedule::{Schedule, ScheduleError, Step};
pub use shrink::{Ended, Limits, Shrunk, shrink};
