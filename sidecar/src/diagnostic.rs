//! Mistakes in the files that people write, told so that they can be mended.

use std::fmt;

/// One mistake in a file: where it is, what was found there, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file as its user named it.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The word or key at fault; empty where the line as a whole is.
    pub word: String,
    /// What is wrong and what was expected instead.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.word.is_empty() {
            write!(f, "`{}`: ", self.word)?;
        }
        f.write_str(&self.message)
    }
}

/// All the mistakes of one or more files, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
