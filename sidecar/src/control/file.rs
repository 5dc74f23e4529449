//! The config file: one command per line, executed in order at start.

use std::collections::HashSet;

use super::command::Command;
use super::error::CommandError;
use super::remarks::{Parsed, Remarks};
use super::resources::Config;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// The commands of config files, in the files' order, checked as far as is possible without starting anything.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// The commands with their files and lines.
    pub lines: Vec<Line>,
    /// The remarks about each file's commands, if there are any.
    pub remarks: Vec<(String, Remarks)>,
}

/// One command with its file and line.
#[derive(Debug, Clone)]
pub struct Line {
    /// The command.
    pub command: Command,
    /// The file as its user named it.
    pub file: String,
    /// The line, counted from 1.
    pub number: usize,
}

impl Line {
    /// The diagnostic for an error of this line.
    #[must_use]
    pub fn diagnostic(&self, error: &CommandError) -> Diagnostic {
        diagnostic(&self.file, self.number, error)
    }
}

impl Script {
    /// Parses files, given as (name, text), as if concatenated. Empty lines and lines that begin with `#` are ignored.
    ///
    /// # Errors
    /// Every invalid line of every file. Lines that fail only because they refer to a resource of an earlier invalid line
    /// are not reported.
    pub fn parse<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Diagnostics> {
        let mut script = Self::default();
        let mut config = Config::default();
        let mut faults = Vec::new();
        let mut broken: HashSet<&str> = HashSet::new();
        for (file, text) in files {
            let mut remarks = Remarks::default();
            for (i, line) in text.lines().enumerate() {
                let line = line.trim();
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                let words: Vec<&str> = line.split_whitespace().collect();
                let outcome = Command::parse(&words)
                    .and_then(|parsed| parsed.command.configure(&mut config).map(|_| parsed));
                match outcome {
                    Ok(Parsed {
                        command,
                        remarks: found,
                    }) => {
                        remarks.extend(found);
                        script.lines.push(Line {
                            command,
                            file: file.to_owned(),
                            number: i + 1,
                        });
                    }
                    Err(error) => {
                        let follows = matches!(&error, CommandError::NotFound { name, .. } if broken.contains(name.as_str()));
                        if !follows {
                            faults.push(diagnostic(file, i + 1, &error));
                        }
                        broken.extend(words.get(2).copied());
                    }
                }
            }
            if remarks != Remarks::default() {
                script.remarks.push((file.to_owned(), remarks));
            }
        }
        if faults.is_empty() {
            Ok(script)
        } else {
            Err(Diagnostics(faults))
        }
    }

    /// Logs the remarks, a warning of each kind for each file.
    pub fn log_remarks(&self) {
        for (file, remarks) in &self.remarks {
            remarks.log(file);
        }
    }
}

fn diagnostic(file: &str, line: usize, error: &CommandError) -> Diagnostic {
    Diagnostic {
        file: file.to_owned(),
        line,
        word: error.word().to_owned(),
        message: error.in_context(),
    }
}
