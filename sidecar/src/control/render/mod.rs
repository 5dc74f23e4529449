//! From a typed [`Command`] back to words: what is written here is read back as the same command.

mod add;
mod list;
mod remove;
mod update;

use std::fmt;

use super::command::Command;
use super::grammar::{Action, Key};

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add(add) => write!(f, "{} {add}", Action::Add),
            Self::Update(update) => write!(f, "{} {update}", Action::Update),
            Self::Remove { what, force: false } => write!(f, "{} {what}", Action::Remove),
            Self::Remove { what, force: true } => write!(f, "{} {what}", Action::ForceRemove),
            Self::List { what, detail: false } => write!(f, "{} {what}", Action::List),
            Self::List { what, detail: true } => write!(f, "{} {what}", Action::ListDetail),
        }
    }
}

fn write_some(f: &mut fmt::Formatter<'_>, key: Key, value: Option<impl fmt::Display>) -> fmt::Result {
    match value {
        Some(value) => write!(f, " {key} {value}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Command;
    use crate::control::arbitrary;

    proptest! {
        #[test]
        fn what_is_written_is_read_back_the_same(command in arbitrary::command()) {
            let line = command.to_string();
            let read = line.parse::<Command>().map_err(|e| TestCaseError::fail(format!("{line}: {e}")))?;
            prop_assert_eq!(read, command, "{}", line);
        }
    }
}
