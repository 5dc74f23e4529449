//! Log lines that report a problem: WARN, ERROR, panics. Pure.

use std::time::SystemTime;

use crate::clock;

/// A log line that reports a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProblemLine {
    /// When it was written.
    pub at: SystemTime,
    /// Name of the container that wrote it.
    pub container: String,
    /// The line.
    pub line: String,
}

/// The lines that contain none of the `allowed` substrings.
pub fn unexpected(lines: Vec<ProblemLine>, allowed: &[&str]) -> Vec<ProblemLine> {
    let explained = |line: &str| allowed.iter().any(|part| line.contains(part));
    lines
        .into_iter()
        .filter(|problem| !explained(&problem.line))
        .collect()
}

/// Whether a line has level WARN or ERROR in the formats of `tracing` (`TIME LEVEL ...`, or JSON), or reports a panic. The
/// number of repetitions of a warning is no further problem: the first was one, maybe in an earlier scenario.
pub(super) fn is_problem(line: &str) -> bool {
    const LEVELS: [&str; 2] = ["WARN", "ERROR"];
    if is_count(line) {
        return false;
    }
    let mut words = line.split_whitespace();
    let dated = words.next().is_some_and(|word| clock::parse(word).is_some());
    let of_level = dated && words.next().is_some_and(|word| LEVELS.contains(&word));
    let json = || {
        line.starts_with('{')
            && LEVELS
                .iter()
                .any(|level| line.contains(&format!("\"level\":\"{level}\"")))
    };
    // Rust's runtime writes `thread 'NAME' panicked at` or, in newer versions, `thread 'NAME' (ID) panicked at`.
    let panicked = || line.starts_with("thread ") && line.contains(" panicked at ");
    of_level || json() || panicked()
}

/// Whether a line has the number of repetitions with which a sidecar's log layer ends a spell of a warning. The words of
/// any other warning may look the same.
fn is_count(line: &str) -> bool {
    let text = line.split_whitespace().nth(2) == Some("sidecar::log:") && line.contains(" repeated=");
    let json = line.starts_with('{')
        && line.contains("\"target\":\"sidecar::log\"")
        && line.contains("\"repeated\":");
    text || json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_recognised_by_its_level_and_not_by_its_message() {
        for line in [
            "2026-11-24T05:38:07.123456Z  WARN sidecar::mesh: late",
            "2026-11-24T05:38:07.123456Z ERROR sidecar: lost: WARN",
            "{\"timestamp\":\"2026-11-24T05:38:07.123456Z\",\"level\":\"WARN\",\"message\":\"late\"}",
            "2026-11-24T05:38:07.123456Z  WARN sidecar::control: no such key: repeated=3",
            "{\"timestamp\":\"2026-11-24T05:38:07.123456Z\",\"level\":\"WARN\",\"repeated\":3,\"target\":\"sidecar\"}",
            "thread 'main' panicked at sidecar/src/main.rs:1:1:",
            "thread 'tokio-rt-worker' (7) panicked at src/x.rs:1:1:",
        ] {
            assert!(is_problem(line), "{line}");
        }
        for line in [
            "2026-11-24T05:38:07.123456Z  INFO sidecar::mesh: WARN is a level",
            "2026-11-24T05:38:07.123456Z DEBUG sidecar: ERROR",
            "2026-11-24T05:38:07.123456Z  WARN sidecar::log: late repeated=3 seconds=2",
            "{\"timestamp\":\"2026-11-24T05:38:07.123456Z\",\"level\":\"WARN\",\"message\":\"late\",\"repeated\":3,\"target\":\"sidecar::log\"}",
            "ERROR without a time",
            "{\"level\":\"INFO\",\"message\":\"level WARN\"}",
            "nothing panicked at all",
            "",
        ] {
            assert!(!is_problem(line), "{line}");
        }
    }

    #[test]
    fn lines_with_an_allowed_part_are_expected() {
        let problem = |line: &str| ProblemLine {
            at: std::time::UNIX_EPOCH,
            container: "lb".to_owned(),
            line: line.to_owned(),
        };
        let lines = vec![
            problem("node x is gone"),
            problem("no server for a"),
            problem("lost"),
        ];
        let left = unexpected(lines.clone(), &["is gone", "no server"]);
        assert_eq!(left, [problem("lost")]);
        assert_eq!(unexpected(lines, &[]).len(), 3);
    }
}
