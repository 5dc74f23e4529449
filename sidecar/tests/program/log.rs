//! The log's format and filter.

use crate::{Sidecar, command};

#[test]
fn log_lines_are_json_with_log_format_json() {
    let mut sidecar = Sidecar::start(&["--log-format", "json", "--status", "127.0.0.1:0"]);
    let line = sidecar.logged("ready");
    let line: serde_json::Value = serde_json::from_str(&line).expect("a JSON object per line");
    assert_eq!(
        (line["level"].as_str(), line["message"].as_str()),
        (Some("INFO"), Some("ready"))
    );
}

#[test]
fn a_misspelt_level_is_reported_and_an_empty_one_ignored() {
    for (level, warned) in [("wran", true), ("", false)] {
        let output = command(&["--", "true"])
            .env("RUST_LOG", level)
            .output()
            .expect("the sidecar runs");
        let output = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(output.contains("ready"), "{output}");
        assert_eq!(output.contains("is not understood"), warned, "{output}");
    }
}

#[test]
fn a_failed_start_is_a_json_line_at_any_log_level() {
    for level in ["info", "off", "sidecar::mesh=debug"] {
        let output = command(&["--log-format", "json", "--load", "/no/such/file.conf"])
            .env("RUST_LOG", level)
            .output()
            .expect("the sidecar runs");
        assert_eq!(output.status.code(), Some(1));
        let output = String::from_utf8(output.stderr).expect("UTF-8");
        let line: serde_json::Value = serde_json::from_str(&output).expect("one JSON object");
        assert_eq!(line["level"], "ERROR", "{output}");
        let message = line["message"].as_str().expect("a message");
        assert!(message.contains("cannot read /no/such/file.conf"), "{output}");
    }
}
