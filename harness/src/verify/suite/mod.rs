//! The suite: scenarios, the stage that they work on, and their run.

mod judge;
mod run;
mod scenario;
mod select;
mod stage;

pub use run::{Done, Plan};
pub use scenario::{Needs, Scenario};
pub use select::{Means, select};
pub use stage::{Held, READY_LIMIT, Stage};
