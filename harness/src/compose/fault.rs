//! Errors in a Compose file and in the variables that it uses.

use std::fmt;
use std::path::PathBuf;

use crate::error::Error;

/// The faults of a Compose file, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ComposeError {
    pub(super) path: PathBuf,
    pub(super) faults: Vec<Fault>,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// A fault in the file's text.
    Text {
        /// The line; 0 for the whole file.
        line: u64,
        /// The found and the expected value.
        message: String,
    },
    /// A fault in a variable's value; the file itself is correct.
    Variable(String),
}

impl Fault {
    pub(super) fn text(line: u64, message: String) -> Self {
        Self::Text { line, message }
    }
}

impl ComposeError {
    /// Advice for the user.
    pub fn advice(&self) -> &'static str {
        let of_file = |fault: &Fault| matches!(fault, Fault::Text { .. });
        if self.faults.iter().any(of_file) {
            "correct the Compose file; only the keys that the mesh needs are supported"
        } else {
            "set the variable to another value, or unset it (in the shell, or in compose/.env)"
        }
    }
}

impl fmt::Display for ComposeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.faults.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            let path = self.path.display();
            match fault {
                Fault::Text { line: 0, message } => write!(f, "{separator}{path}: {message}")?,
                Fault::Text { line, message } => write!(f, "{separator}{path}:{line}: {message}")?,
                Fault::Variable(message) => write!(f, "{separator}{message}")?,
            }
        }
        Ok(())
    }
}

impl From<ComposeError> for Error {
    fn from(error: ComposeError) -> Self {
        Self::environment(error.to_string(), error.advice())
    }
}
