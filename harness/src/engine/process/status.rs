//! A container's state as a word and as a phrase, in Docker's format. Pure.

/// The state of a container. Times are milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// It was never started.
    Created,
    /// It is running, or paused.
    Up {
        /// Start time.
        since: u64,
        /// Whether it is paused.
        paused: bool,
    },
    /// It has exited: the exit code and the time; `None` if they were not written.
    Exited(Option<(i64, u64)>),
}

impl Status {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Up { paused: false, .. } => "running",
            Self::Up { paused: true, .. } => "paused",
            Self::Exited(_) => "exited",
        }
    }

    pub(super) fn phrase(&self, now: u64) -> String {
        match self {
            Self::Created => "Created".to_owned(),
            Self::Up { since, paused } => {
                let paused = if *paused { " (Paused)" } else { "" };
                format!("Up {}{paused}", span(now.saturating_sub(*since)))
            }
            Self::Exited(None) => "Exited".to_owned(),
            Self::Exited(Some((code, at))) => {
                format!("Exited ({code}) {} ago", span(now.saturating_sub(*at)))
            }
        }
    }
}

fn span(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        0 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3600 => format!("{minutes} minutes"),
        3600..7200 => "About an hour".to_owned(),
        7200..172_800 => format!("{hours} hours"),
        _ => format!("{} days", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_have_dockers_format() {
        let up = |seconds: u64, paused| Status::Up { since: 1000, paused }.phrase(1000 + seconds * 1000);
        assert_eq!(up(0, false), "Up Less than a second");
        assert_eq!(up(1, false), "Up 1 second");
        assert_eq!(up(59, false), "Up 59 seconds");
        assert_eq!(up(60, true), "Up About a minute (Paused)");
        assert_eq!(up(150, false), "Up 2 minutes");
        assert_eq!(up(3600, false), "Up About an hour");
        assert_eq!(up(7200, false), "Up 2 hours");
        assert_eq!(up(3 * 86_400, false), "Up 3 days");
        let exited = Status::Exited(Some((137, 5000)));
        assert_eq!(exited.phrase(7999), "Exited (137) 2 seconds ago");
        assert_eq!(
            exited.phrase(0),
            "Exited (137) Less than a second ago",
            "a clock that was set back"
        );
        assert_eq!(Status::Exited(None).phrase(9), "Exited");
        assert_eq!(Status::Created.phrase(9), "Created");
    }

    #[test]
    fn a_paused_container_is_not_running() {
        let word = |paused| Status::Up { since: 0, paused }.word();
        assert_eq!((word(false), word(true)), ("running", "paused"));
        assert_eq!(Status::Created.word(), "created");
        assert_eq!(Status::Exited(None).word(), "exited");
    }
}
