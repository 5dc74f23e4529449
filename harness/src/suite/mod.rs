//! The suite: scenarios, the stage that they work on, and their run.

mod scenario;
mod stage;

pub use scenario::{Needs, Scenario};
pub use stage::{Held, READY_LIMIT, Stage};
