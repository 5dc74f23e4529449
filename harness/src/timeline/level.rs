//! Which lines of a log tell of trouble: pure.

use super::Suspect;
use crate::clock;

/// Those lines that no allowed part explains.
pub fn unexpected(lines: Vec<Suspect>, allowed: &[&str]) -> Vec<Suspect> {
    let explained = |line: &str| allowed.iter().any(|part| line.contains(part));
    lines
        .into_iter()
        .filter(|suspect| !explained(&suspect.line))
        .collect()
}

/// Whether a line is of level WARN or ERROR, as `tracing` writes it (the time, the level, and the rest), as text or
/// as JSON; or tells of a panic.
pub(super) fn is_suspect(line: &str) -> bool {
    const LEVELS: [&str; 2] = ["WARN", "ERROR"];
    let mut words = line.split_whitespace();
    let dated = words.next().is_some_and(|word| clock::parse(word).is_some());
    let of_level = dated && words.next().is_some_and(|word| LEVELS.contains(&word));
    let json = || {
        line.starts_with('{')
            && LEVELS
                .iter()
                .any(|level| line.contains(&format!("\"level\":\"{level}\"")))
    };
    // The two forms in which Rust's runtime tells of one.
    let panicked = || line.starts_with("thread ") && line.contains(" panicked at ");
    of_level || json() || panicked()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_counts_and_not_the_words() {
        for line in [
            "2026-11-24T05:38:07.123456Z  WARN sidecar::mesh: late",
            "2026-11-24T05:38:07.123456Z ERROR sidecar: lost: WARN",
            "{\"timestamp\":\"2026-11-24T05:38:07.123456Z\",\"level\":\"WARN\",\"message\":\"late\"}",
            "thread 'main' panicked at sidecar/src/main.rs:1:1:",
            "thread 'tokio-rt-worker' (7) panicked at src/x.rs:1:1:",
        ] {
            assert!(is_suspect(line), "{line}");
        }
        for line in [
            "2026-11-24T05:38:07.123456Z  INFO sidecar::mesh: WARN is a level",
            "2026-11-24T05:38:07.123456Z DEBUG sidecar: ERROR",
            "ERROR without a time",
            "{\"level\":\"INFO\",\"message\":\"level WARN\"}",
            "nobody panicked at all",
            "",
        ] {
            assert!(!is_suspect(line), "{line}");
        }
    }

    #[test]
    fn only_what_nothing_explains_is_unexpected() {
        let suspect = |line: &str| Suspect {
            at: std::time::UNIX_EPOCH,
            container: "lb".to_owned(),
            line: line.to_owned(),
        };
        let lines = vec![
            suspect("node x is gone"),
            suspect("no server for a"),
            suspect("lost"),
        ];
        let left = unexpected(lines.clone(), &["is gone", "no server"]);
        assert_eq!(left, [suspect("lost")]);
        assert_eq!(unexpected(lines, &[]).len(), 3);
    }
}
