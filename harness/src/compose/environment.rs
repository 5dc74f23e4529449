//! The variables that Compose sees: the shell's, then those of the `.env` file beside the Compose file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::ComposeError;
use super::dotenv::{self, Dotenv};
use super::fault::Fault;

/// Lists the env files instead of `.env`, separated by commas and relative to the current directory.
const FILES: &str = "COMPOSE_ENV_FILES";
/// If true, no `.env` is read.
const DISABLED: &str = "COMPOSE_DISABLE_ENV_FILE";
/// The project's name.
const PROJECT: &str = "COMPOSE_PROJECT_NAME";

/// The shell's variables and those of the env files.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// The directory of the Compose file.
    directory: PathBuf,
    shell: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
    unset: Vec<String>,
}

impl Environment {
    /// The variables of `shell` and of the `.env` beside the Compose file `path`, if there is one.
    ///
    /// # Errors
    /// It cannot be read, or is malformed; the message names the line.
    pub fn beside(
        path: &Path,
        shell: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ComposeError> {
        let text = |text: OsString| text.to_string_lossy().into_owned();
        let mut environment = Self {
            directory: path.parent().unwrap_or(path).to_owned(),
            shell: shell
                .into_iter()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
            ..Self::default()
        };
        for file in environment.file_names() {
            environment.read(&file)?;
        }
        Ok(environment)
    }

    /// The value of a variable. The shell's precedes the env file's, even if it is empty.
    pub fn get(&self, name: &str) -> Option<String> {
        self.shell.get(name).or_else(|| self.files.get(name)).cloned()
    }

    /// The variables that the env files use and that are not set.
    pub fn unset(&self) -> &[String] {
        &self.unset
    }

    /// The name that Compose gives to the project: `COMPOSE_PROJECT_NAME`, otherwise the directory's name without the
    /// characters that a project's name cannot have.
    pub fn project_name(&self) -> String {
        let named = self.get(PROJECT).filter(|name| !name.is_empty());
        named.unwrap_or_else(|| {
            let name = self
                .directory
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .to_lowercase();
            let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(*c);
            let name: String = name.chars().filter(allowed).collect();
            name.trim_start_matches(['_', '-']).to_owned()
        })
    }

    fn file_names(&self) -> Vec<PathBuf> {
        let listed = self.shell.get(FILES).filter(|files| !files.is_empty());
        if let Some(listed) = listed {
            return listed.split(',').map(PathBuf::from).collect();
        }
        let file = self.directory.join(".env");
        if self.shell.get(DISABLED).is_some_and(|value| is_true(value)) || !file.is_file() {
            return Vec::new();
        }
        vec![file]
    }

    fn read(&mut self, path: &Path) -> Result<(), ComposeError> {
        let failed = |line, message| ComposeError {
            path: path.to_owned(),
            faults: vec![Fault::text(line, message)],
        };
        let text = std::fs::read(path)
            .and_then(|bytes| String::from_utf8(bytes).map_err(|error| io::Error::other(error.utf8_error())))
            .map_err(|error| failed(0, format!("it cannot be read: {error}")))?;
        let Dotenv { values, unset } = dotenv::parse(&text, &|name| self.get(name))
            .map_err(|error| failed(error.line, error.message))?;
        self.files.extend(values);
        self.unset.extend(unset);
        Ok(())
    }
}

fn is_true(value: &str) -> bool {
    ["1", "t", "T", "true", "TRUE", "True"].contains(&value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The environment of a Compose file in `directory`, which has this `.env`, with these variables of the shell.
    fn environment(
        directory: &str,
        dotenv: Option<&str>,
        shell: &[(&str, &str)],
    ) -> Result<Environment, ComposeError> {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join(directory);
        std::fs::create_dir(&directory).unwrap();
        if let Some(text) = dotenv {
            std::fs::write(directory.join(".env"), text).unwrap();
        }
        std::fs::write(root.path().join("one"), "A=one\nB=one").unwrap();
        std::fs::write(root.path().join("two"), "B=two").unwrap();
        let files = format!("{0}/one,{0}/two", root.path().display());
        let shell = shell.iter().map(|(name, value)| {
            let value = if *value == "one,two" { &files } else { *value };
            (OsString::from(name), OsString::from(value))
        });
        Environment::beside(&directory.join("compose.yaml"), shell)
    }

    #[test]
    fn the_shells_variables_precede_those_of_the_file() {
        let read = environment(
            "d",
            Some("A=file\nB=\"${A}2\"\nC=file"),
            &[("A", "shell"), ("C", "")],
        )
        .unwrap();
        let values = ["A", "B", "C", "D"].map(|name| read.get(name));
        assert_eq!(
            values,
            [
                Some("shell".into()),
                Some("shell2".into()),
                Some(String::new()),
                None
            ]
        );
    }

    #[test]
    fn the_project_is_named_by_a_variable_or_after_the_directory() {
        let name = |directory: &str, dotenv: Option<&str>, shell: &[(&str, &str)]| {
            environment(directory, dotenv, shell).unwrap().project_name()
        };
        let shipped = include_str!("../../../compose/.env");
        assert_eq!(name("d", Some(shipped), &[]), "example");
        assert_eq!(name("d", Some(shipped), &[("MESH_NAME", "")]), "example");
        assert_eq!(name("d", Some(shipped), &[("MESH_NAME", "other")]), "other");
        assert_eq!(
            name("d", Some(&format!("MESH_NAME=file\n{shipped}")), &[]),
            "file"
        );
        let both = [("MESH_NAME", "other"), ("COMPOSE_PROJECT_NAME", "project")];
        assert_eq!(name("d", Some(shipped), &both), "project");
        assert_eq!(name("My.Mesh_2", Some(""), &[]), "mymesh_2");
        assert_eq!(name("_-d", Some(shipped), &[("COMPOSE_PROJECT_NAME", "")]), "d");
        assert_eq!(name("d", None, &[("MESH_NAME", "other")]), "d");
    }

    #[test]
    fn other_files_or_none_can_be_named() {
        let read = environment("d", Some("A=env\nC=env"), &[("COMPOSE_ENV_FILES", "one,two")]).unwrap();
        let values = ["A", "B", "C"].map(|name| read.get(name));
        assert_eq!(values, [Some("one".into()), Some("two".into()), None]);
        let none = environment("d", Some("A=env"), &[("COMPOSE_DISABLE_ENV_FILE", "true")]).unwrap();
        assert_eq!(none.get("A"), None);
    }

    #[test]
    fn an_error_names_the_file_and_the_line() {
        let error = environment("d", Some("A=1\nB C\n"), &[]).unwrap_err().to_string();
        assert!(error.contains("/.env:2: `B C`: expected NAME=value"), "{error}");
        let error = environment("d", None, &[("COMPOSE_ENV_FILES", "/no/such")])
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("/no/such: it cannot be read"), "{error}");
    }
}
