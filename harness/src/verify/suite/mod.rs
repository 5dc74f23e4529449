//! The suite: scenarios, the context that they run in, and the run of all of them.

mod context;
mod judge;
mod result;
mod run;
mod scenario;
mod select;

pub use context::{Context, MeshGuard, READY_LIMIT};
pub use result::{ScenarioResult, Verdict, name_in_run};
pub use run::{Suite, SuiteResult};
pub use scenario::{Requirements, Scenario};
pub use select::{Capabilities, select};
