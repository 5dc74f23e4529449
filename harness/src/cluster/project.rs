//! The name of a mesh, the commands for that mesh, and the error if it does not exist.

use crate::engine::Selected;
use crate::error::Error;

/// Default name if `MESH_NAME` is not set.
const DEFAULT: &str = "example";

/// The default name: `MESH_NAME`, otherwise [`DEFAULT`].
pub fn default_name() -> String {
    let named = std::env::var("MESH_NAME").ok();
    named
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| DEFAULT.to_owned())
}

/// The command line that runs the harness's `command` on the mesh `project`, for the user to copy.
pub fn command(command: &str, project: &str) -> String {
    line(command, project, &default_name())
}

fn line(command: &str, project: &str, default: &str) -> String {
    let flag = if project == default {
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
        assert_eq!(line("up", "example", "example"), "cargo run -p harness -- up");
        assert_eq!(
            line("down", "two", "example"),
            "cargo run -p harness -- down -p two"
        );
        assert_eq!(
            line("down", "example", "two"),
            "cargo run -p harness -- down -p example"
        );
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
