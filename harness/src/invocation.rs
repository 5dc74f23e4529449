//! The command line by which the user calls the harness, for hints to copy.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The package's name, by which `cargo run` finds it and which it tells the program that it runs.
const PACKAGE: &str = env!("CARGO_PKG_NAME");

static PROGRAM: LazyLock<String> = LazyLock::new(|| {
    let variable = |name| std::env::var_os(name).unwrap_or_default();
    program(
        std::env::args_os().next(),
        &variable("CARGO_PKG_NAME"),
        Path::new(&variable("CARGO_MANIFEST_DIR")),
        &std::env::current_dir().unwrap_or_default(),
    )
});

/// The command line that calls the harness with `arguments`, as a shell reads it.
pub fn command_line<'a>(arguments: impl IntoIterator<Item = &'a str>) -> String {
    let words = arguments.into_iter().map(quoted);
    std::iter::once(PROGRAM.clone())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Cargo, if it runs the program and finds the package from `current`; otherwise what the user typed.
fn program(typed: Option<OsString>, package: &OsString, manifest: &Path, current: &Path) -> String {
    let workspace = manifest.parent();
    if package == PACKAGE && workspace.is_some_and(|workspace| current.starts_with(workspace)) {
        return format!("cargo run -p {PACKAGE} --");
    }
    let typed = typed.map_or_else(|| PathBuf::from(PACKAGE), PathBuf::from);
    quoted(&typed.to_string_lossy())
}

/// A word as a shell reads it. No shell passes the NUL byte, the only one that cannot be quoted.
pub fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_called_as_the_user_called_it() {
        let called = |typed: &str, package: &str, current: &str| {
            let manifest = Path::new("/src/mesh/harness");
            program(Some(typed.into()), &package.into(), manifest, Path::new(current))
        };
        let by_cargo = "cargo run -p harness --";
        assert_eq!(called("target/debug/harness", "harness", "/src/mesh"), by_cargo);
        assert_eq!(
            called("/src/mesh/target/debug/harness", "harness", "/src/mesh/docs"),
            by_cargo
        );
        // With `--manifest-path`, cargo alone would find nothing there.
        assert_eq!(called("/target/harness", "harness", "/tmp"), "/target/harness");
        assert_eq!(called("harness", "", "/src/mesh"), "harness");
        // Started by another program that cargo runs, such as a test.
        assert_eq!(called("./harness", "tests", "/src/mesh"), "./harness");
        assert_eq!(called("my dir/harness", "", "/"), "'my dir/harness'");
        assert_eq!(
            program(None, &OsString::new(), Path::new(""), Path::new("/")),
            "harness"
        );
    }

    #[test]
    fn arguments_are_quoted() {
        assert!(command_line(["why", "/a b/it's"]).ends_with(r#" why "/a b/it's""#));
        assert!(command_line(["down", "-p", "mesh-2_x"]).ends_with(" down -p mesh-2_x"));
    }
}
