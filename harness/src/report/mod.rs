//! The suite's result in every format: terminal, JSON, JUnit, Markdown.

mod json;
mod junit;
mod markdown;
mod summary;
mod text;

pub use json::json;
pub use junit::junit;
pub use markdown::markdown;
pub use summary::{Objectives, Report};
pub use text::objectives;
