//! What a command is answered with.

use super::autosave::SaveError;

/// What a command is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The change has taken effect.
    Done,
    /// It has taken effect, and is lost at the next start: it could not be saved.
    Unsaved(SaveError),
    /// Names, or a line about each.
    Lines(Vec<String>),
    /// A number.
    Count(u64),
}
