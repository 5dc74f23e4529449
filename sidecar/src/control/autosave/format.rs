//! The file of a saved configuration: a config file between a first line that identifies it and a last line with a
//! checksum, so that torn and foreign files are recognised.

use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::replace;
use crate::control::command::Command;
use crate::control::file::Script;
use crate::control::resources::Add;
use crate::diagnostic::Diagnostics;
use crate::text_file::{self, ReadError};

const HEAD: &str = "# Saved by a sidecar (--autosave) after each change; changes made here are refused.";
const TAIL: &str = "# sha256 ";

/// Why a saved configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AutosaveError {
    /// It cannot be read.
    #[error(transparent)]
    Unread(#[from] ReadError),
    /// It was not written by a sidecar.
    #[error(
        "{file} was not written by --autosave: its first line differs. Give --autosave a file of its own; to start from \
         this one, use --load"
    )]
    Foreign {
        /// The file.
        file: String,
    },
    /// It was truncated or edited.
    #[error(
        "{file} is truncated or was edited: its last line is not the checksum of the lines before. To start from it as \
         it is now, copy it without its last line and use --load; to start without it, remove it"
    )]
    Torn {
        /// The file.
        file: String,
    },
    /// It is complete, but this sidecar cannot parse it.
    #[error("{0}")]
    Diagnostics(Diagnostics),
}

/// The file's text for a configuration.
pub(super) fn render(commands: &[Add]) -> String {
    let mut text = format!("{HEAD}\n");
    for add in commands {
        text.push_str(&Command::Add(add.clone()).to_string());
        text.push('\n');
    }
    let sum = checksum(&text);
    text + TAIL + &sum + "\n"
}

/// The commands of a file's text.
fn parse(file: &str, text: &str) -> Result<Script, AutosaveError> {
    if text.lines().next() != Some(HEAD) {
        return Err(AutosaveError::Foreign {
            file: file.to_owned(),
        });
    }
    let torn = || AutosaveError::Torn {
        file: file.to_owned(),
    };
    let whole = text.strip_suffix('\n').ok_or_else(torn)?;
    let (body, tail) = whole.rsplit_once('\n').ok_or_else(torn)?;
    let body = &text[..body.len() + 1];
    if tail.strip_prefix(TAIL) != Some(checksum(body).as_str()) {
        return Err(torn());
    }
    Script::parse([(file, body)]).map_err(AutosaveError::Diagnostics)
}

fn checksum(text: &str) -> String {
    Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Reads a saved configuration; `None` if there is no file, or an empty one: a file must exist before it can be mounted.
/// If it was being written in place when the process ended, the copy beside it is read instead.
///
/// # Errors
/// A file that cannot be read, is truncated, or was not written by a sidecar.
pub fn load(path: &Path) -> Result<Option<Script>, AutosaveError> {
    let error = match read(path) {
        Ok(Some(script)) => return Ok(Some(script)),
        Ok(None) => None,
        Err(
            error @ (AutosaveError::Torn { .. }
            | AutosaveError::Unread(ReadError::NotText { .. } | ReadError::Encoding(_))),
        ) => Some(error),
        Err(error) => return Err(error),
    };
    let copy = replace::copy_of(&replace::target(path).unwrap_or_else(|_| path.to_owned()));
    match (read(&copy), error) {
        (Ok(Some(script)), _) => {
            tracing::warn!(
                "{} was not written to its end; starting from its copy {}",
                path.display(),
                copy.display()
            );
            Ok(Some(script))
        }
        (_, None) => Ok(None),
        (_, Some(error)) => Err(error),
    }
}

fn read(path: &Path) -> Result<Option<Script>, AutosaveError> {
    match text_file::read(path) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => parse(&path.display().to_string(), &text).map(Some),
        Err(ReadError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: &[&str] = &["add server-groups x", "add security-group y default deny"];

    fn text() -> String {
        let commands: Vec<Add> = SAVED
            .iter()
            .map(|line| match line.parse() {
                Ok(Command::Add(add)) => add,
                other => panic!("{other:?}"),
            })
            .collect();
        render(&commands)
    }

    #[test]
    fn a_written_file_is_read_back() {
        let script = parse("f", &text()).unwrap();
        let lines: Vec<String> = script.lines.iter().map(|l| l.command.to_string()).collect();
        assert_eq!(lines, SAVED);
        assert_eq!(script.lines[0].number, 2, "errors name the file's own lines");
    }

    #[test]
    fn a_truncated_or_edited_file_is_refused() {
        let text = text();
        for end in 0..text.len() {
            assert!(parse("f", &text[..end]).is_err(), "truncated to {end} bytes");
        }
        let changed = text.replace("deny", "allow");
        assert!(matches!(parse("f", &changed), Err(AutosaveError::Torn { .. })));
        assert!(matches!(
            parse("f", "add server-groups x\n"),
            Err(AutosaveError::Foreign { .. })
        ));
    }
}
