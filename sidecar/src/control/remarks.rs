//! What its caller should know about a command that is accepted: words without effect here, and names that the original
//! cannot hold.

use std::collections::BTreeSet;

use super::command::Command;

/// The word after which the original expects a parent instead of a name.
const PARENT_WORD: &str = "in";

/// A command, and the remarks about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The command.
    pub command: Command,
    /// What its caller should know.
    pub remarks: Remarks,
}

impl Parsed {
    /// A command that was given with words or fields that have no effect here.
    pub(super) fn new(command: Command, ignored: Vec<&'static str>) -> Self {
        let name = match &command {
            Command::Add(add) => Some(add.id().name),
            _ => None,
        };
        let remarks = Remarks {
            ignored: ignored.into_iter().collect(),
            names: name.into_iter().filter(|name| !original_holds(name)).collect(),
        };
        Self { command, remarks }
    }
}

/// Remarks about one or more commands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remarks {
    /// Words and fields about the original's threads and buffers.
    ignored: BTreeSet<&'static str>,
    names: BTreeSet<String>,
}

impl Remarks {
    /// Adds those about another command.
    pub(super) fn extend(&mut self, other: Self) {
        self.ignored.extend(other.ignored);
        self.names.extend(other.names);
    }

    /// A sentence for each kind.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if !self.ignored.is_empty() {
            let words: Vec<&str> = self.ignored.iter().copied().collect();
            sentences.push(format!(
                "{}: accepted without effect; threads are set by --workers at start, and buffers have the size that \
                 serves best",
                words.join(", ")
            ));
        }
        if !self.names.is_empty() {
            let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
            sentences.push(format!(
                "{}: accepted, but the original cannot hold such a name; it ends names at `/` and `?` in paths, and reads \
                 `{PARENT_WORD}` as a word of its own",
                names.join(", ")
            ));
        }
        sentences
    }

    /// Logs them; `source` is the file or the controller that they come from.
    pub(super) fn log(&self, source: &str) {
        for sentence in self.sentences() {
            tracing::warn!("{source}: {sentence}");
        }
    }
}

/// Whether the original can hold a name: it splits a path at `/` and `?` after decoding it.
fn original_holds(name: &str) -> bool {
    !name.contains(['/', '?']) && name != PARENT_WORD
}
