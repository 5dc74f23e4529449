//! The name of a mesh, the commands for that mesh, and the error if it does not exist.

use crate::cluster::checkout::Checkout;
use crate::engine::Selected;
use crate::error::Error;

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
    let flag = if Some(project) == default {
        String::new()
    } else {
        format!(" -p {project}")
    };
    format!("cargo run -p harness -- {command}{flag}")
}

/// The error that there is no mesh `name`.
pub fn no_mesh(name: &str) -> Error {
    Error::environment(
        format!("there is no mesh `{name}`"),
        format!("start it with `{}`", command("up", name)),
    )
}

/// The error that there is no mesh `name` on the selected engine. Mentions Docker if it may have one but does not
/// respond.
pub fn not_found(selected: Selected, name: &str) -> Error {
    match selected.unreachable {
        Some(unreachable) => Error::environment(
            format!(
                "{unreachable}\nonly local processes were checked, and there is no mesh `{name}` among them"
            ),
            format!(
                "{}; or check processes only (--runtime process)",
                unreachable.advice()
            ),
        ),
        None => no_mesh(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_its_mesh_unless_it_is_the_default() {
        let down = |project, default| line("down", project, default);
        assert_eq!(down("example", Some("example")), "cargo run -p harness -- down");
        assert_eq!(
            down("two", Some("example")),
            "cargo run -p harness -- down -p two"
        );
        assert_eq!(down("example", None), "cargo run -p harness -- down -p example");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_engine_that_did_not_answer_is_named_when_no_mesh_is_found() {
        use crate::engine::{Engine, EngineError, Processes};

        let directory = tempfile::tempdir().unwrap();
        let error = |unreachable| {
            let processes = Processes::open_in(directory.path().join("state")).unwrap();
            let selected = Selected {
                engine: Engine::Process(processes),
                reason: String::new(),
                unreachable,
            };
            not_found(selected, "m").to_string()
        };
        let silent = error(Some(EngineError::NoEngine {
            socket: "/no/such".to_owned(),
            reason: "there is no such socket".to_owned(),
        }));
        assert!(
            silent.contains("no Docker engine answers at /no/such"),
            "{silent}"
        );
        assert!(silent.contains("only local processes were checked"), "{silent}");
        let none = error(None);
        assert!(none.starts_with("there is no mesh `m`"), "{none}");
    }
}
