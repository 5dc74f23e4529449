//! Building blocks of scenarios. Each returns [`Error::Check`](crate::error::Error::Check) with what was expected and
//! what was seen if the property does not hold.

mod answers;
mod failures;
mod instances;
mod refusal;
mod share;

pub use answers::{alternates, hosts_of, time_to_answer, traffic_flows};
pub use failures::{no_request_failed, only_requests_in_flight_failed};
pub use instances::{ended_cleanly, kill, ready, restart};
pub use refusal::{FrontendError, is_refused};
pub use share::time_to_equal_shares;
