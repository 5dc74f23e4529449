//! Its log, and what decides on it.

use crate::{Sidecar, command};

#[test]
fn a_line_of_the_log_is_json_where_that_is_asked_for() {
    let mut sidecar = Sidecar::start(&["--log-format", "json", "--status", "127.0.0.1:0"]);
    let line = sidecar.logged("ready");
    let line: serde_json::Value = serde_json::from_str(&line).expect("a JSON object a line");
    assert_eq!(
        (line["level"].as_str(), line["message"].as_str()),
        (Some("INFO"), Some("ready"))
    );
}

#[test]
fn a_misspelt_level_is_said_and_an_empty_one_is_none() {
    for (level, warned) in [("wran", true), ("", false)] {
        let output = command(&["--", "true"])
            .env("RUST_LOG", level)
            .output()
            .expect("the sidecar runs");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(said.contains("ready"), "{said}");
        assert_eq!(said.contains("is not understood"), warned, "{said}");
    }
}

#[test]
fn a_failed_start_is_a_line_of_json_where_those_are_asked_for_whatever_else_is_logged() {
    for level in ["info", "off", "sidecar::mesh=debug"] {
        let output = command(&["--log-format", "json", "--load", "/no/such/file.conf"])
            .env("RUST_LOG", level)
            .output()
            .expect("the sidecar runs");
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        let line: serde_json::Value = serde_json::from_str(&said).expect("one JSON object");
        assert_eq!(line["level"], "ERROR", "{said}");
        let message = line["message"].as_str().expect("a message");
        assert!(message.contains("cannot read /no/such/file.conf"), "{said}");
    }
}
