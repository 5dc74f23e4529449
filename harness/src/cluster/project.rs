//! The name of a mesh, the engine that it runs on, the commands for it, and the error if it does not exist.

use std::collections::BTreeSet;

use crate::cluster::checkout::Checkout;
use crate::cluster::resources::{Resources, meshes};
use crate::cluster::topology::Topology;
use crate::engine::{Engine, EngineChoice, EngineError, Selected};
use crate::error::Error;
use crate::invocation::command_line;

/// The default name: the one that Compose gives to the project.
///
/// # Errors
/// There is no checkout, or its `.env` file is malformed.
pub fn default_name() -> Result<String, Error> {
    Ok(Checkout::find()?.environment()?.project_name())
}

/// The command line that runs the harness's `command` on the mesh `project`, for the user to copy.
pub fn command(command: &str, project: &str) -> String {
    line(command, project, default_name().ok().as_deref())
}

fn line(command: &str, project: &str, default: Option<&str>) -> String {
    let named = ["-p", project];
    let flag = if Some(project) == default { &[][..] } else { &named };
    command_line(std::iter::once(command).chain(flag.iter().copied()))
}

/// Where a mesh was looked for, and what was found.
#[derive(Debug, Clone)]
pub struct Located {
    /// The engine that runs the mesh, otherwise the one that would.
    pub selected: Selected,
    /// The project's containers and networks on it.
    pub resources: Resources,
    /// The other engine, if it was searched too.
    other: Option<Engine>,
}

/// Looks for the topology's mesh. With [`EngineChoice::Auto`], prefers the engine that has it.
///
/// # Errors
/// As [`EngineChoice::connect`], or the containers cannot be listed.
pub async fn locate(choice: EngineChoice, topology: &Topology) -> Result<Located, EngineError> {
    let selected = choice.connect().await?;
    let resources = Resources::of(&selected.engine, topology).await?;
    let located = Located {
        selected,
        resources,
        other: None,
    };
    if choice != EngineChoice::Auto
        || !located.resources.is_empty()
        || matches!(located.selected.engine, Engine::Process(_))
    {
        return Ok(located);
    }
    let Ok(processes) = EngineChoice::Process.connect().await else {
        return Ok(located);
    };
    let resources = Resources::of(&processes.engine, topology).await?;
    let other = Some(processes.engine.clone());
    if resources.is_empty() {
        return Ok(Located { other, ..located });
    }
    let reason = format!("the mesh `{}` runs there", topology.project);
    Ok(Located {
        selected: Selected { reason, ..processes },
        resources,
        other: None,
    })
}

impl Located {
    /// The error that there is no such mesh. Names what has its name, otherwise the meshes that there are. Mentions Docker
    /// if it may have one but does not respond.
    ///
    /// # Errors
    /// The containers cannot be listed.
    pub async fn not_found(&self, topology: &Topology) -> Result<Error, EngineError> {
        let name = &topology.project;
        if let Some(unreachable) = &self.selected.unreachable {
            return Ok(Error::environment(
                format!(
                    "{unreachable}\nonly local processes were checked, and there is no mesh `{name}` among them"
                ),
                format!(
                    "{}; or check processes only (--runtime process)",
                    unreachable.advice()
                ),
            ));
        }
        if let Some(others) = self.resources.others() {
            return Ok(not_a_mesh(name, &others));
        }
        let mut all = self.selected.engine.all_containers().await?;
        if let Some(other) = &self.other {
            all.extend(other.all_containers().await?);
        }
        Ok(no_mesh(name, &meshes(topology, &all)))
    }
}

/// The error that there is no mesh `name`, but there are those in `others`.
pub fn no_mesh(name: &str, others: &BTreeSet<&str>) -> Error {
    let start = format!("start it with `{}`", command("up", name));
    if others.is_empty() {
        return Error::environment(format!("there is no mesh `{name}`"), start);
    }
    let quoted: Vec<String> = others.iter().map(|other| format!("`{other}`")).collect();
    Error::environment(
        format!("there is no mesh `{name}`; there is {}", quoted.join(", ")),
        format!("name an existing one with -p, or {start}"),
    )
}

/// The error that the project `name` is not a mesh: it has `others`.
pub fn not_a_mesh(name: &str, others: &str) -> Error {
    Error::environment(
        format!("the project `{name}` is not a mesh, so it is left alone; it has {others}"),
        format!(
            "give the mesh another name: `{}`, or MESH_NAME=NAME for all commands",
            command_line(["up", "-p", "NAME"])
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::compose::ComposeFile;
    use crate::engine::Processes;

    fn topology() -> Topology {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/compose.yaml");
        Topology::new("m", ComposeFile::read(&path, &|_| None).unwrap()).unwrap()
    }

    #[test]
    fn a_command_names_its_mesh_unless_it_is_the_default() {
        let down = |project, default| line("down", project, default);
        assert!(down("example", Some("example")).ends_with(" down"));
        assert!(down("two", Some("example")).ends_with(" down -p two"));
        assert!(down("example", None).ends_with(" down -p example"));
    }

    #[test]
    fn existing_meshes_are_named_if_there_is_none_of_the_name() {
        let error = no_mesh("m", &BTreeSet::from(["one", "two"])).to_string();
        assert!(
            error.starts_with("there is no mesh `m`; there is `one`, `two`\n"),
            "{error}"
        );
        assert!(error.contains("-p"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_engine_that_did_not_answer_is_named_when_no_mesh_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let error = async |unreachable, resources| {
            let processes = Processes::open_in(directory.path().join("state")).unwrap();
            let located = Located {
                selected: Selected {
                    engine: Engine::Process(processes),
                    reason: String::new(),
                    unreachable,
                },
                resources,
                other: None,
            };
            located.not_found(&topology()).await.unwrap().to_string()
        };
        let no_engine = EngineError::NoEngine {
            address: "/no/such".to_owned(),
            reason: "there is no such socket".to_owned(),
            advice: "start it".to_owned(),
        };
        let silent = error(Some(no_engine), Resources::default()).await;
        assert!(
            silent.contains("no Docker engine answers at /no/such"),
            "{silent}"
        );
        assert!(silent.contains("only local processes were checked"), "{silent}");
        let none = error(None, Resources::default()).await;
        assert!(none.starts_with("there is no mesh `m`\n"), "{none}");
        let other = Resources {
            other_containers: vec![crate::engine::Container {
                name: "m_web_1".to_owned(),
                image: "nginx".to_owned(),
                ..Default::default()
            }],
            ..Resources::default()
        };
        let other = error(None, other).await;
        assert!(other.starts_with("the project `m` is not a mesh"), "{other}");
        assert!(
            other.contains("container m_web_1 (image nginx)") && !other.contains("down"),
            "{other}"
        );
    }
}
