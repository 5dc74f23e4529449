//! Formats and parses times in UTC.

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};

/// The time of day to milliseconds, such as `05:38:07.123`.
pub fn time_of_day(time: SystemTime) -> String {
    utc(time).format("%H:%M:%S%.3f").to_string()
}

/// The date, such as `2026-11-24`.
pub fn date(time: SystemTime) -> String {
    utc(time).format("%Y-%m-%d").to_string()
}

/// RFC 3339 to milliseconds, such as `2026-11-24T05:38:07.123Z`.
pub fn rfc3339(time: SystemTime) -> String {
    utc(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// RFC 3339 to nanoseconds, such as `2026-11-24T05:38:07.123456789Z`. The length is fixed, so the texts sort by time.
pub fn rfc3339_whole(time: SystemTime) -> String {
    utc(time).to_rfc3339_opts(SecondsFormat::Nanos, true)
}

/// Parses RFC 3339 in UTC (`Z`) with any number of fractional digits.
pub fn parse(text: &str) -> Option<SystemTime> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    text.ends_with('Z').then(|| time.into())
}

fn utc(time: SystemTime) -> DateTime<Utc> {
    time.into()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn known_times_are_parsed_and_formatted() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("2000-02-29T23:59:59.000Z", 951_868_799),
            ("2026-11-24T05:38:07.000Z", 1_795_498_687),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(rfc3339(time), text);
            assert_eq!(format!("{}T{}Z", date(time), time_of_day(time)), text);
            assert_eq!(parse(text), Some(time), "{text}");
            assert_eq!(parse(&rfc3339_whole(time)), Some(time), "{text}");
        }
    }

    #[test]
    fn any_number_of_fractional_digits_is_parsed() {
        let at = |nanoseconds| Some(UNIX_EPOCH + Duration::from_nanos(nanoseconds));
        assert_eq!(parse("1970-01-01T00:00:01Z"), at(1_000_000_000));
        assert_eq!(parse("1970-01-01T00:00:00.5Z"), at(500_000_000));
        assert_eq!(parse("1970-01-01T00:00:00.123456789Z"), at(123_456_789));
    }

    #[test]
    fn a_text_that_is_not_a_time_in_utc_is_refused() {
        for text in [
            "",
            "Z",
            "INFO",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00+01:00",
            "1970-13-01T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00Z",
            "é970-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
