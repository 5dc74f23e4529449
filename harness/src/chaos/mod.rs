//! Chaos experiments: random faults from a seed, injected into a mesh under traffic.
//!
//! A schedule is generated and written to a file before it runs, so that a failing run can be replayed and shrunk.

pub mod execute;
pub mod experiment;
pub mod failure_count;
pub mod fault;
pub mod generate;
pub mod injector;
pub mod network_faults;
pub mod packet_loss;
pub mod retry;
pub mod run;
pub mod schedule;
pub mod shrink;

pub use execute::{FaultEvent, InjectedFault, Injector, execute};
pub use experiment::{Experiment, accepts, schedule_spec};
pub use failure_count::FailureCount;
pub use fault::{Fault, FaultKind};
pub use generate::{ScheduleSpec, generate};
pub use run::ExperimentResult;
pub use schedule::{Schedule, ScheduleError, Step};
pub use shrink::{SearchEnd, Shrunk, TrialBudget, shrink};
