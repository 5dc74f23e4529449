//! The times of log lines: read off those that begin with one, as the sidecar's do. Pure.

/// Digits of a second's fraction.
const DIGITS: usize = 9;

/// Dates the lines of one log.
#[derive(Debug)]
pub(super) struct Dates {
    /// The time of the line before.
    last: String,
}

impl Dates {
    /// Of a log that begins at this time, in milliseconds since 1970.
    pub(super) fn new(begins: u64) -> Self {
        Self {
            last: rfc3339(begins),
        }
    }

    /// The line after its time and a space.
    pub(super) fn date(&mut self, line: &str) -> String {
        if let Some(time) = leading(line) {
            self.last = time;
        }
        format!("{} {line}", self.last)
    }
}

/// The time that a line begins with, with nine digits.
fn leading(line: &str) -> Option<String> {
    let word = line.split(' ').next()?.strip_suffix('Z')?;
    let (seconds, fraction) = word.split_once('.').unwrap_or((word, ""));
    let shape = seconds
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect::<String>();
    if shape != "0000-00-00T00:00:00" || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: String = fraction
        .chars()
        .chain(std::iter::repeat('0'))
        .take(DIGITS)
        .collect();
    Some(format!("{seconds}.{fraction}Z"))
}

/// A time in milliseconds since 1970 as RFC 3339 has it, in UTC, with nine digits.
fn rfc3339(milliseconds: u64) -> String {
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{rest:03}000000Z")
}

/// The date so many days after 1970-01-01: years are counted from March on, so that the leap day is the last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + later, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_date_prints_them() {
        for (milliseconds, expected) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999000000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000000000Z"),
            (1_709_164_800_123, "2024-02-29T00:00:00.123000000Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000000000Z"),
            (4_102_444_800_000, "2100-01-01T00:00:00.000000000Z"),
        ] {
            assert_eq!(rfc3339(milliseconds), expected);
        }
    }

    #[test]
    fn a_line_without_a_time_has_that_of_the_line_before() {
        let mut dates = Dates::new(0);
        let start = "1970-01-01T00:00:00.000000000Z";
        assert_eq!(dates.date("first"), format!("{start} first"));
        let line = "2026-11-24T05:38:07.123456Z  INFO ready";
        let time = "2026-11-24T05:38:07.123456000Z";
        assert_eq!(dates.date(line), format!("{time} {line}"));
        assert_eq!(dates.date("    at main.rs"), format!("{time}     at main.rs"));
        assert_eq!(dates.date(""), format!("{time} "));
        assert_eq!(
            dates.date("2026-11-24T05:38:08Z x"),
            "2026-11-24T05:38:08.000000000Z 2026-11-24T05:38:08Z x"
        );
    }

    #[test]
    fn what_only_looks_like_a_time_is_none() {
        for text in [
            "Z",
            "2026Z",
            "2026-11-24T05:38:07 x",
            "2026-11-24T05:38:07.x1Z",
            "aaaa-11-24T05:38:07Z",
            "ü",
        ] {
            assert_eq!(leading(text), None, "{text}");
        }
    }
}
