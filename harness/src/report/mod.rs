//! What the user gets to see.

pub mod progress;
pub mod table;

pub use progress::Progress;
