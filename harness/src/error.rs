//! The errors of commands, with their exit codes.

use std::fmt;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine, the engine or a file prevented the command; nothing is known about the mesh.
    #[error("{what}\n  what to do: {advice}")]
    Environment {
        /// What failed.
        what: String,
        /// Advice for the user.
        advice: String,
    },
    /// The mesh does not behave as expected.
    #[error("the mesh did not behave as expected\n{0}")]
    Check(Box<CheckFailure>),
    /// The user interrupted the command.
    #[error("interrupted")]
    Interrupted,
}

/// An expectation of the mesh that does not hold.
#[derive(Debug, Default)]
pub struct CheckFailure {
    /// What was expected.
    pub expected: String,
    /// What was seen instead.
    pub seen: String,
    /// The last log lines by container name; empty until they are collected.
    pub logs: Vec<(String, Vec<String>)>,
    /// Containers whose logs are left out, because other containers have exited, which is the likely cause.
    pub unshown: Vec<String>,
}

impl fmt::Display for CheckFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "  expected: {}\n  seen:     {}",
            indented(&self.expected),
            indented(&self.seen)
        )?;
        if !self.unshown.is_empty() {
            write!(f, "\n  not shown: the logs of {}", self.unshown.join(", "))?;
        }
        for (name, lines) in &self.logs {
            write!(f, "\n  last log lines of {name}:")?;
            if lines.is_empty() {
                write!(f, " none")?;
            }
            for line in lines {
                write!(f, "\n    {line}")?;
            }
        }
        Ok(())
    }
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n            ")
}

impl Error {
    /// An error of the environment, with advice for the user.
    pub fn environment(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Environment {
            what: what.into(),
            advice: advice.into(),
        }
    }

    /// An expectation of the mesh that does not hold.
    pub fn unmet(expected: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::Check(Box::new(CheckFailure {
            expected: expected.into(),
            seen: seen.into(),
            ..CheckFailure::default()
        }))
    }

    /// The exit code of the command.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Check(_) => 1,
            Self::Environment { .. } => 2,
            // The exit code by which shells report SIGINT.
            Self::Interrupted => 130,
        }
    }
}

/// Checks that `holds`.
///
/// # Errors
/// If it does not: [`Error::Check`] with `expected` and `seen`.
pub fn check(holds: bool, expected: impl Into<String>, seen: impl Into<String>) -> Result<(), Error> {
    if holds {
        Ok(())
    } else {
        Err(Error::unmet(expected, seen))
    }
}

impl From<bench::Error> for Error {
    fn from(error: bench::Error) -> Self {
        Self::environment(error.to_string(), error.advice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_check_shows_the_logs_last_and_names_those_left_out() {
        let failure = CheckFailure {
            expected: "a\nb".to_owned(),
            seen: "gave up after 0.9 s: container m-b has ended (exit code 3)".to_owned(),
            logs: vec![("m-b".to_owned(), vec!["one".to_owned(), "two".to_owned()])],
            unshown: vec!["m-a".to_owned(), "m-lb".to_owned()],
        };
        let text = "  expected: a\n            b\n\
            \x20 seen:     gave up after 0.9 s: container m-b has ended (exit code 3)\n\
            \x20 not shown: the logs of m-a, m-lb\n\
            \x20 last log lines of m-b:\n    one\n    two";
        assert_eq!(failure.to_string(), text);
    }
}
