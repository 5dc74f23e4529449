//! Static binaries.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::Recipe;
use crate::cluster::checkout::Checkout;
use crate::error::Error;
use crate::report::Progress;

/// Lines of the compiler's output that are kept to show when it fails.
const KEPT_LINES: usize = 60;

/// What was compiled.
pub(super) struct Compiled {
    /// Where the programs are.
    pub(super) directory: PathBuf,
    /// Whether they were there before.
    pub(super) fresh: bool,
}

/// Static, because the image holds nothing else; and at a fixed place, which saves each program the table of what to
/// correct when it is loaded elsewhere, and the memory that correcting takes. SHA-2 for processors that have no
/// instructions for it is the small one.
const FLAGS: [&str; 3] = [
    "-Ctarget-feature=+crt-static",
    "-Crelocation-model=static",
    "--cfg=sha2_backend_soft=\"compact\"",
];

/// Functions with the same code are kept once, and what an idle program does not use lies together, so that it takes no memory.
/// The linker that Rust brings along for this processor can do both.
const LINKED: &[&str] = if cfg!(target_arch = "x86_64") {
    &[
        "-Clink-arg=-Wl,--icf=all",
        // From the workspace's root, where cargo runs the compiler. Cargo does not notice when it changes: touch a source.
        "-Clink-arg=-Wl,-T,harness/src/image/layout.ld",
        // What is a piece of 64 kB in the file is then one in memory, too: the system goes by either when it maps them.
        "-Clink-arg=-Wl,-z,max-page-size=65536",
    ]
} else {
    &[]
};

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
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            [&FLAGS, LINKED].concat().join("\u{1f}"),
        )
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
