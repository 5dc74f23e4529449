//! Failpoints exist only in builds with the feature, which warn about them.

use std::process::Command;

/// Runs the sidecar with this failpoint and the program `true`; returns whether it succeeded, and its log.
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
fn a_build_without_the_feature_ignores_the_variable() {
    for failpoint in ["no-failover", "nonsense"] {
        let (well, log) = start_with(failpoint);
        assert!(well && log.contains("stopped"), "{log}");
        assert!(!log.contains("WARN") && !log.contains(failpoint), "{log}");
    }
}

#[cfg(feature = "failpoints")]
#[test]
fn a_build_with_the_feature_warns_of_the_failpoint_and_rejects_unknown_ones() {
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
