//! A mount namespace, in which tests mount what they need without root's rights over the machine.

use std::process::{Child, Command, Stdio};

use super::sidecar::SIDECAR;
use crate::skip::skip;

/// A mount namespace, kept by a process that waits; removed when dropped.
pub(super) struct Namespace {
    keeper: Child,
    /// The options of `nsenter`.
    options: Vec<String>,
}

impl Namespace {
    /// A new namespace. `None`, with a message, if this user may not make one; a failure if `MESH_REQUIRE` has
    /// `mounts`.
    pub(super) fn open() -> Option<Self> {
        let ways = [
            ("--mount", "--mount"),
            ("--map-root-user --mount", "--user --preserve-credentials --mount"),
        ];
        for (unshare, enter) in ways {
            let unshare = unshare.split(' ');
            if let Some(keeper) = keeper(unshare) {
                let target = format!("--target={}", keeper.id());
                let options = enter.split(' ').map(str::to_owned).chain([target]).collect();
                return Some(Self { keeper, options });
            }
        }
        skip(
            "mounts",
            "run it as root, or allow unprivileged user namespaces, with `unshare` and `mount`",
        );
        None
    }

    /// A command that runs in the namespace.
    pub(super) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(&self.options).arg(program).args(arguments);
        command
    }

    /// A sidecar in the namespace.
    pub(super) fn sidecar(&self, arguments: &[&str]) -> Command {
        self.command(SIDECAR, arguments)
    }

    /// Runs a shell script in a directory; returns its output.
    pub(super) fn run(&self, directory: &str, script: &str) -> String {
        let script = format!("cd {directory} && {script}");
        let output = self
            .command("sh", &["-ec", &script])
            .output()
            .expect("nsenter runs");
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }
}

/// Starts a process in a new namespace. It ends with its input.
fn keeper<'a>(options: impl Iterator<Item = &'a str>) -> Option<Child> {
    let mut keeper = Command::new("unshare")
        .args(options)
        .args(["sh", "-c", "mount --version && exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut line = [0];
    let output = keeper.stdout.as_mut().expect("its output");
    let entered = std::io::Read::read_exact(output, &mut line).is_ok();
    if !entered {
        keeper.wait().expect("a child of ours");
    }
    entered.then_some(keeper)
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}
