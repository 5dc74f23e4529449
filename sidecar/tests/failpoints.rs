//! Only a build with the feature can be broken on purpose, and it says so.

use std::process::Command;

/// Starts the program beside `true` with this to be broken: whether it ended well, and its log.
fn start_with(failpoint: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sidecar"))
        .args(["--", "true"])
        .env("SIDECAR_FAILPOINT", failpoint)
        .env_remove("RUST_LOG")
        .output()
        .expect("the sidecar runs");
    let log = String::from_utf8(output.stderr).expect("a log in UTF-8");
    (output.status.success(), log)
}

#[cfg(not(feature = "failpoints"))]
#[test]
fn a_build_without_the_feature_does_not_even_look_at_the_variable() {
    for failpoint in ["no-failover", "nonsense"] {
        let (well, log) = start_with(failpoint);
        assert!(well && log.contains("stopped"), "{log}");
        assert!(!log.contains("WARN") && !log.contains(failpoint), "{log}");
    }
}

#[cfg(feature = "failpoints")]
#[test]
fn a_build_with_the_feature_warns_of_what_is_broken_and_knows_what_can_be() {
    let (well, log) = start_with("no-failover");
    assert!(well, "{log}");
    assert!(
        log.contains("WARN") && log.contains("FAILPOINT ACTIVE: no-failover"),
        "{log}"
    );
    let (well, log) = start_with("nonsense");
    assert!(!well, "{log}");
    assert!(
        log.contains("SIDECAR_FAILPOINT")
            && log.contains("`nonsense`")
            && log.contains("thread-local-balancing"),
        "{log}"
    );
    let (well, log) = start_with("");
    assert!(well && !log.contains("WARN"), "{log}");
}
