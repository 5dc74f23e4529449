//! How a command can end other than well, and the exit code of each.

use std::fmt;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine, the engine or a file would not let it: nothing is said of the mesh.
    #[error("{what}\n  what to do: {advice}")]
    Environment {
        /// What is in the way.
        what: String,
        /// What the user can do about it.
        advice: String,
    },
    /// The mesh did not do what it should.
    #[error("the mesh did not behave as it should\n{0}")]
    Check(Box<CheckFailure>),
    /// The user stopped it before it was done.
    #[error("interrupted")]
    Interrupted,
}

/// Something about the mesh that should hold and does not.
#[derive(Debug, Default)]
pub struct CheckFailure {
    /// What should hold.
    pub expected: String,
    /// What is there instead.
    pub seen: String,
    /// The last log lines of each container, by its name; empty where they were not collected yet.
    pub logs: Vec<(String, Vec<String>)>,
    /// Containers whose logs are left out, because others have ended and it is about those.
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
    /// An obstacle and the way around it.
    pub fn environment(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Environment {
            what: what.into(),
            advice: advice.into(),
        }
    }

    /// Something about the mesh that should hold and does not.
    pub fn unmet(expected: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::Check(Box::new(CheckFailure {
            expected: expected.into(),
            seen: seen.into(),
            ..CheckFailure::default()
        }))
    }

    /// The exit code that tells it apart.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Check(_) => 1,
            Self::Environment { .. } => 2,
            // What shells report of a process that SIGINT ended.
            Self::Interrupted => 130,
        }
    }
}

/// Holds, or says what was expected and what is there.
///
/// # Errors
/// [`Error::Check`] where it does not hold.
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
    fn the_log_of_what_has_ended_stands_last_and_alone() {
        let failure = CheckFailure {
            expected: "a\nb".to_owned(),
            seen: "gave up after 0.9 s: container m-b has ended (exit code 3)".to_owned(),
            logs: vec![("m-b".to_owned(), vec!["one".to_owned(), "two".to_owned()])],
            unshown: vec!["m-a".to_owned(), "m-lb".to_owned()],
        };
        let told = "  expected: a\n            b\n\
            \x20 seen:     gave up after 0.9 s: container m-b has ended (exit code 3)\n\
            \x20 not shown: the logs of m-a, m-lb\n\
            \x20 last log lines of m-b:\n    one\n    two";
        assert_eq!(failure.to_string(), told);
    }
}
