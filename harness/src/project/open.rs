//! Opens a project: finds its files as Compose would, and has Compose read them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::compose_program::{ComposeProgram, Generation};
use super::extension::Extensions;
use super::files::{OVERRIDES, files, generated, has_own_name, unreadable};
use super::folder::{self, Folder, OVERRIDE, State, WHOLE};
use super::model::Config;
use super::override_file::Source;
use crate::compose::Environment;
use crate::error::Error;

/// What the user gave on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// `-f`.
    pub files: Vec<PathBuf>,
    /// Whether an override beside a single file is left out.
    pub exact: bool,
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
        let files = files(&selection.files, selection.exact)?;
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
        let extensions = Extensions::read(&project.files)
            .map_err(|reason| Error::environment(reason, "correct the file"))?;
        config.x_mesh = extensions.project;
        for (name, x_mesh) in extensions.services {
            if let Some(service) = config.services.get_mut(&name) {
                service.x_mesh = x_mesh;
            }
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
                relabel: state.relabel,
            },
        }
    }

    /// Writes the additions to the override that Compose reads itself, so that a plain `docker compose up` keeps the mesh.
    ///
    /// # Errors
    /// This Compose or these files have no such override, or it exists and is the user's.
    pub fn install(&self, text: &str) -> Result<(), Error> {
        let refused = |what: String| {
            Error::environment(what, "leave out --install, and use the files that `inject` names")
        };
        if self.compose.generation == Generation::V1 {
            return Err(refused(
                "--install: an override for version 2 of Compose is not read by 1.29".to_owned(),
            ));
        }
        if !has_own_name(&self.files[0]) || self.files.len() > 1 || self.selection.exact {
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
