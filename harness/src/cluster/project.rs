//! A mesh's name, and the commands that are about the mesh of that name.

/// The name where none is given and `MESH_NAME` is not set.
const DEFAULT: &str = "example";

/// The name where none is given.
pub fn by_default() -> String {
    let named = std::env::var("MESH_NAME").ok();
    named
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| DEFAULT.to_owned())
}

/// The command line that does `what` to the mesh `project`, for people to copy.
pub fn command(what: &str, project: &str) -> String {
    line(what, project, &by_default())
}

fn line(what: &str, project: &str, default: &str) -> String {
    let flag = if project == default {
        String::new()
    } else {
        format!(" -p {project}")
    };
    format!("cargo run -p harness -- {what}{flag}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_its_mesh_where_it_would_mean_another() {
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
}
