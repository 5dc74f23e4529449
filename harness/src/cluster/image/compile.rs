//! Compiles static programs with Cargo.

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

/// Number of last lines of Cargo's output in an error message.
const SHOWN_LINES: usize = 60;

/// Compiled programs.
pub(super) struct Compiled {
    /// The directory that contains them.
    pub(super) directory: PathBuf,
    /// Whether nothing had to be compiled.
    pub(super) fresh: bool,
}

/// Static, because the image contains no libraries. At a fixed address, because a relocatable program applies
/// relocations when it starts, and each page that it modifies becomes private memory of the process.
const FLAGS: [&str; 2] = ["-Ctarget-feature=+crt-static", "-Crelocation-model=static"];

/// Compiles the programs of an image.
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
    // A target directory of its own, so that the user's builds and this one do not wait for each other's lock.
    let directory = checkout.target().join("image");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command
        .args([
            "build",
            "--bins",
            "--profile",
            recipe.profile,
            "--target",
            &target,
        ])
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
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"))
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let cannot = |error: std::io::Error| Error::environment(format!("cannot run cargo: {error}"), advice);
    let mut cargo = command.spawn().map_err(cannot)?;
    let mut shown = VecDeque::new();
    let mut fresh = true;
    if let Some(stderr) = cargo.stderr.take() {
        let mut lines = BufReader::new(stderr).lines();
        while let Some(line) = lines.next_line().await.map_err(cannot)? {
            progress.note(line.trim());
            fresh &= !line.trim_start().starts_with("Compiling");
            if shown.len() == SHOWN_LINES {
                shown.pop_front();
            }
            shown.push_back(line);
        }
    }
    let status = cargo.wait().await.map_err(cannot)?;
    if status.success() {
        return Ok(Compiled {
            directory: directory.join(target).join(recipe.profile),
            fresh,
        });
    }
    let output = Vec::from(shown).join("\n");
    Err(Error::environment(
        format!("the image's programs do not compile:\n{output}"),
        advice,
    ))
}
