//! Sends signals to processes of tests.

use std::process::Command;

/// Sends a signal, for instance `-TERM`, by the shell's own `kill`: not every machine has the program of that name.
pub(crate) fn kill(signal: &str, process: &str) {
    let status = Command::new("sh")
        .args(["-c", "kill -s \"${0#-}\" -- \"$1\"", signal, process])
        .status();
    assert!(status.expect("a shell runs").success(), "kill {signal} {process}");
}
