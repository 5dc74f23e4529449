//! The replies to commands.

use super::autosave::SaveError;

/// The reply to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The change has taken effect.
    Done,
    /// The change has taken effect, but is lost at the next start: it could not be saved.
    Unsaved(SaveError),
    /// Names, or a line about each.
    Lines(Vec<String>),
    /// A number.
    Count(u64),
}
