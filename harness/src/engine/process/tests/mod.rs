//! The engine's operations, with a shell script as the sidecar.

mod creation;
mod events;
mod images;
mod life;
mod logs;
mod networks;

use super::supported;

#[test]
fn a_system_other_than_linux_is_refused_by_its_name() {
    assert!(supported("linux").is_ok());
    for system in ["macos", "windows", "freebsd"] {
        let error = supported(system).unwrap_err();
        let expected = format!("a mesh runs as plain processes on Linux only, and this is {system}");
        assert_eq!(error.to_string(), expected);
        assert!(error.advice().contains("--runtime docker"), "{}", error.advice());
    }
}
