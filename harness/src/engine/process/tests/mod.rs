//! The engine itself, with a shell script in the sidecar's place.

mod creation;
mod events;
mod images;
mod life;
mod logs;
mod networks;

use super::supported;

#[test]
fn any_system_but_linux_is_refused_by_its_name() {
    assert!(supported("linux").is_ok());
    for system in ["macos", "windows", "freebsd"] {
        let error = supported(system).unwrap_err();
        let told = format!("a mesh runs as plain processes on Linux only, and this is {system}");
        assert_eq!(error.to_string(), told);
        assert!(error.advice().contains("--runtime docker"), "{}", error.advice());
    }
}
