//! Opens a project: finds its files as Compose would, and has Compose read them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::compose_program::{ComposeProgram, Generation};
use super::folder::{self, Folder, OVERRIDE, State, WHOLE};
use super::model::Config;
use super::override_file::{MARK, Source};
use crate::compose::Environment;
use crate::error::Error;

/// Names by which Compose finds a file itself. Only then does it also read the overrides beside it.
const OWN_NAMES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];
/// Names of files that Compose reads beside its own.
const OVERRIDES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// What the user gave on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// `-f`.
    pub files: Vec<PathBuf>,
    /// `-p`.
    pub project: Option<String>,
    /// `--env-file`.
    pub env_files: Vec<PathBuf>,
    /// `--profile`.
    pub profiles: Vec<String>,
}

/// A project, as Compose reads it.
#[derive(Debug, Clone)]
pub struct Project {
    /// The Compose program.
    pub compose: ComposeProgram,
    /// Its name.
    pub name: String,
    /// The directory of its first file.
    pub directory: PathBuf,
    /// Its files, the user's only.
    pub files: Vec<PathBuf>,
    selection: Selection,
    /// What Compose printed.
    pub printed: Value,
    /// The same, read.
    pub config: Config,
    /// The folder with what is generated for it.
    pub folder: Folder,
}

impl Project {
    /// Reads the project with this Compose.
    ///
    /// # Errors
    /// A file is missing or generated, or Compose cannot read them.
    pub async fn open(compose: ComposeProgram, selection: Selection) -> Result<Self, Error> {
        let files = files(&selection.files)?;
        let first =
            std::path::absolute(&files[0]).map_err(|error| unreadable(&files[0], &error.to_string()))?;
        let directory = first.parent().unwrap_or(Path::new("/")).to_owned();
        let mut project = Self {
            folder: Folder::in_directory(&directory),
            compose,
            name: String::new(),
            directory,
            files,
            selection,
            printed: Value::Null,
            config: Config::default(),
        };
        let v2 = project.compose.generation == Generation::V2;
        let environment = project.environment()?;
        let mut arguments = project.own_arguments();
        if !v2 {
            project.name = match &project.selection.project {
                Some(name) => name.clone(),
                None => environment.project_name(),
            };
        }
        arguments.push("config".to_owned());
        if v2 {
            arguments.extend(["--format", "json"].map(str::to_owned));
        }
        let text = project.compose.read(&arguments).await?;
        let unread = |reason: String| {
            let what = format!(
                "what `{} config` printed cannot be read: {reason}",
                project.compose
            );
            Error::environment(what, "report this with the project's files")
        };
        let printed: Value = if v2 {
            serde_json::from_str(&text).map_err(|error| unread(error.to_string()))?
        } else {
            serde_saphyr::from_str(&text).map_err(|error| unread(error.to_string()))?
        };
        let mut config = Config::read(&printed).map_err(unread)?;
        if !v2 {
            let mut active: BTreeSet<String> = project.selection.profiles.iter().cloned().collect();
            let listed = environment.get("COMPOSE_PROFILES").unwrap_or_default();
            active.extend(listed.split(',').map(|name| name.trim().to_owned()));
            config.keep_active(&active);
        }
        if let Some(name) = &config.name {
            project.name.clone_from(name);
        }
        (project.printed, project.config) = (printed, config);
        Ok(project)
    }

    /// Compose's arguments for the project without what the harness adds.
    pub fn own_arguments(&self) -> Vec<String> {
        let mut arguments = self.common_arguments();
        for file in &self.files {
            arguments.extend(["-f".to_owned(), file.to_string_lossy().into_owned()]);
        }
        arguments
    }

    /// Compose's arguments for the project with what the harness adds.
    pub fn arguments(&self) -> Vec<String> {
        let generated = |name: &str| beside(&self.files[0], &self.folder, name);
        match self.compose.generation {
            Generation::V2 => {
                let mut arguments = self.own_arguments();
                arguments.extend(["-f".to_owned(), generated(OVERRIDE)]);
                arguments
            }
            Generation::V1 => {
                let mut arguments = self.common_arguments();
                let directory = self.files[0].parent().filter(|path| !path.as_os_str().is_empty());
                let directory = directory.unwrap_or(Path::new("."));
                arguments.extend([
                    "--project-directory".to_owned(),
                    directory.to_string_lossy().into_owned(),
                ]);
                arguments.extend(["-f".to_owned(), generated(WHOLE)]);
                arguments
            }
        }
    }

    /// Where the waypoints read their files from.
    pub fn source(&self, state: &State) -> Source {
        match &state.volume {
            Some(volume) => Source::Volume(volume.clone()),
            None => Source::Folder {
                path: format!("./{}/{}", folder::NAME, folder::WAYPOINTS),
                relabel: Path::new("/sys/fs/selinux/enforce").exists(),
            },
        }
    }

    /// Writes the additions to the override that Compose reads itself, so that a plain `docker compose up` keeps the mesh.
    ///
    /// # Errors
    /// This Compose or these files have no such override, or it exists and is the user's.
    pub fn install(&self, text: &str) -> Result<(), Error> {
        let own = |file: &Path| {
            OWN_NAMES
                .iter()
                .any(|name| file.file_name().is_some_and(|own| own == *name))
        };
        let refused = |what: String| {
            Error::environment(what, "leave out --install, and use the files that `inject` names")
        };
        if self.compose.generation == Generation::V1 {
            return Err(refused(
                "--install: an override for version 2 of Compose is not read by 1.29".to_owned(),
            ));
        }
        if !own(&self.files[0]) || self.files.len() > 1 {
            return Err(refused(
                "--install: Compose reads an override only beside a single file of its own name".to_owned(),
            ));
        }
        let path = self.installed();
        let others = OVERRIDES.iter().map(|name| self.directory.join(name));
        if let Some(other) = others
            .into_iter()
            .find(|other| other.exists() && !generated(other))
        {
            return Err(refused(format!(
                "--install: there is {} already",
                other.display()
            )));
        }
        folder::replace(&path, text, 0o600).map_err(|error| unreadable(&path, &error.to_string()))
    }

    /// The path of that override.
    pub fn installed(&self) -> PathBuf {
        self.directory.join(OVERRIDES[1])
    }

    /// Whether [`Project::arguments`] name a file that exists.
    pub fn injected(&self) -> bool {
        let name = match self.compose.generation {
            Generation::V2 => OVERRIDE,
            Generation::V1 => WHOLE,
        };
        self.folder.path().join(name).is_file()
    }

    fn common_arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut add = |flag: &str, value: String| arguments.extend([flag.to_owned(), value]);
        for file in &self.selection.env_files {
            add("--env-file", file.to_string_lossy().into_owned());
        }
        for profile in &self.selection.profiles {
            add("--profile", profile.clone());
        }
        let named = Some(&self.name).filter(|name| !name.is_empty());
        if let Some(name) = named.or(self.selection.project.as_ref()) {
            add("-p", name.clone());
        }
        arguments
    }

    /// The name of a service's image: the file's, or that which Compose gives to what it builds.
    pub fn image(&self, service: &str) -> String {
        let separator = match self.compose.generation {
            Generation::V2 => '-',
            Generation::V1 => '_',
        };
        let image = self
            .config
            .services
            .get(service)
            .and_then(|service| service.image.clone());
        image.unwrap_or_else(|| format!("{}{separator}{service}", self.name))
    }

    /// The name of a network in the engine.
    pub fn network_name(&self, key: &str) -> String {
        let network = self.config.networks.get(key);
        let named = network.and_then(|network| network.name.clone());
        named.unwrap_or_else(|| match network {
            Some(network) if network.external => key.to_owned(),
            _ => format!("{}_{key}", self.name),
        })
    }

    /// The variables that Compose sees.
    fn environment(&self) -> Result<Environment, Error> {
        let mut shell: BTreeMap<_, _> = std::env::vars_os().collect();
        if let Some(files) = Some(&self.selection.env_files).filter(|files| !files.is_empty()) {
            let files: Vec<String> = files
                .iter()
                .map(|file| file.to_string_lossy().into_owned())
                .collect();
            shell.insert("COMPOSE_ENV_FILES".into(), files.join(",").into());
        }
        Ok(Environment::beside(&self.directory.join("compose.yaml"), shell)?)
    }
}

/// The path of a generated file, as near to the user's spelling of the first file as possible.
fn beside(first: &Path, folder: &Folder, name: &str) -> String {
    let parent = first.parent().unwrap_or(Path::new(""));
    let folder = folder.path().file_name().unwrap_or_default();
    parent.join(folder).join(name).to_string_lossy().into_owned()
}

/// The files that Compose reads. For a single file with one of Compose's own names they include the override beside it,
/// which Compose reads as well if it finds the file itself.
fn files(given: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    for file in given {
        if !file.is_file() {
            return Err(unreadable(file, "there is no such file"));
        }
        if generated(file) {
            let what = format!("{} was generated by the harness", file.display());
            return Err(Error::environment(what, "give the project's own file"));
        }
    }
    let mut files = given.to_vec();
    if let [single] = given
        && single
            .file_name()
            .is_some_and(|name| OWN_NAMES.iter().any(|own| name == *own))
    {
        let overrides = OVERRIDES.iter().map(|name| single.with_file_name(name));
        files.extend(
            overrides
                .filter(|path| path.is_file() && !generated(path))
                .take(1),
        );
    }
    if files.is_empty() {
        return Err(Error::environment("no Compose file is given", "give one with -f"));
    }
    Ok(files)
}

/// Whether the harness generated this file.
pub fn generated(path: &Path) -> bool {
    let mut line = String::new();
    let first = File::open(path).map(|file| BufReader::new(file.take(1024)).read_line(&mut line));
    matches!(first, Ok(Ok(_))) && line.trim_end() == MARK
}

fn unreadable(path: &Path, reason: &str) -> Error {
    Error::environment(
        format!("{}: {reason}", path.display()),
        "give a Compose file with -f",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_is_read_where_compose_would_read_it_and_generated_files_never() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
        write("compose.yaml", "services: {}\n");
        write("other.yaml", "services: {}\n");
        assert_eq!(files(&[path("compose.yaml")]).unwrap(), [path("compose.yaml")]);
        write("compose.override.yaml", "services: {}\n");
        let both = [path("compose.yaml"), path("compose.override.yaml")];
        assert_eq!(files(&[path("compose.yaml")]).unwrap(), both);
        assert_eq!(files(&[path("other.yaml")]).unwrap(), [path("other.yaml")]);
        let given = [path("compose.yaml"), path("other.yaml")];
        assert_eq!(files(&given).unwrap(), given);
        write("compose.override.yaml", &format!("{MARK}\nservices: {{}}\n"));
        assert_eq!(files(&[path("compose.yaml")]).unwrap(), [path("compose.yaml")]);
        let error = files(&[path("compose.override.yaml")]).unwrap_err().to_string();
        assert!(error.contains("was generated by the harness"), "{error}");
        let error = files(&[path("none.yaml")]).unwrap_err().to_string();
        assert!(error.contains("there is no such file"), "{error}");
    }
}
