//! Static binaries.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::Recipe;
use crate::cluster::checkout::Checkout;
use crate::console::Progress;
use crate::error::Error;

/// Lines of the compiler's output that are kept to show when it fails.
const KEPT_LINES: usize = 60;

/// What was compiled.
pub(super) struct Compiled {
    /// Where the programs are.
    pub(super) directory: PathBuf,
    /// Whether they were there before.
    pub(super) fresh: bool,
}

/// Links the C library statically: the image holds nothing but the programs.
const FLAGS: &str = "-Ctarget-feature=+crt-static";

/// Compiles the programs of an image static.
pub(super) async fn compile(
    checkout: &Checkout,
    recipe: &Recipe,
    progress: &Progress,
) -> Result<Compiled, Error> {
    let advice = recipe.advice;
    if !cfg!(target_os = "linux") {
        let what = "the image's programs are Linux programs, and this is another system";
        return Err(Error::environment(what, advice));
    }
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    // A directory of its own: flags that differ from the user's build would make each undo the other's work.
    let directory = checkout.target().join("image");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command
        .args(["build", "--release", "--bins", "--target", &target])
        .args(recipe.packages.iter().flat_map(|package| ["-p", *package]))
        .args(
            recipe
                .features
                .iter()
                .flat_map(|feature| ["--features", *feature]),
        )
        .arg("--target-dir")
        .arg(&directory)
        .current_dir(checkout.root())
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_BUILD_RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS)
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let cannot = |error: std::io::Error| Error::environment(format!("cannot run cargo: {error}"), advice);
    let mut cargo = command.spawn().map_err(cannot)?;
    let mut kept = VecDeque::new();
    let mut fresh = true;
    if let Some(stderr) = cargo.stderr.take() {
        let mut lines = BufReader::new(stderr).lines();
        while let Some(line) = lines.next_line().await.map_err(cannot)? {
            progress.note(line.trim());
            fresh &= !line.trim_start().starts_with("Compiling");
            if kept.len() == KEPT_LINES {
                kept.pop_front();
            }
            kept.push_back(line);
        }
    }
    let status = cargo.wait().await.map_err(cannot)?;
    if status.success() {
        return Ok(Compiled {
            directory: directory.join(target).join("release"),
            fresh,
        });
    }
    let output = Vec::from(kept).join("\n");
    Err(Error::environment(
        format!("the image's programs do not compile:\n{output}"),
        advice,
    ))
}
