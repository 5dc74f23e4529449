//! Follows host names in DNS, for server groups that are filled from it.
//!
//! `message` is the codec, `resolution` what answers make of the known addresses, `name_servers` who is asked; all three
//! are pure. `client` asks one server once, and `lookup` asks again and again.

mod client;
mod lookup;
pub mod message;
pub mod name_servers;
mod resolution;

pub use lookup::Settings;
pub(crate) use lookup::{Confirmation, Lookup, Lookups, Subscription};
