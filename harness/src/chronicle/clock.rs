//! Times of the machine's clock as text, in UTC, and back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: u64 = 24 * 60 * 60;

/// Hours to milliseconds, such as `05:38:07.123`.
pub fn time_of_day(time: SystemTime) -> String {
    let since = since_epoch(time);
    let seconds = since.as_secs() % DAY;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!(
        "{hours:02}:{minutes:02}:{seconds:02}.{:03}",
        since.subsec_millis()
    )
}

/// Year to day, such as `2026-11-24`.
pub fn date(time: SystemTime) -> String {
    let (year, month, day) = civil(since_epoch(time).as_secs() / DAY);
    format!("{year:04}-{month:02}-{day:02}")
}

/// RFC 3339 to milliseconds, such as `2026-11-24T05:38:07.123Z`.
pub fn rfc3339(time: SystemTime) -> String {
    format!("{}T{}Z", date(time), time_of_day(time))
}

/// Reads RFC 3339 in UTC (`Z`), with any number of digits behind the second; none where it is something else.
pub fn parse(text: &str) -> Option<SystemTime> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hours, minutes, seconds] = numbers(time, ':')?;
    // 60 is a leap second, which this clock does not have: it is the next second's begin.
    let known = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !known || hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanoseconds: u64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let seconds = days(year, month, day) * DAY + hours * 3600 + minutes * 60 + seconds;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds))
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let parts: Vec<&str> = text.split(separator).collect();
    let [a, b, c] = parts[..] else { return None };
    let number = |part: &str| {
        let plain = !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
        if plain { part.parse().ok() } else { None }
    };
    Some([number(a)?, number(b)?, number(c)?])
}

/// Days from 1970-01-01. Years are counted from March, so that a leap day is a year's last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The reverse of [`days`].
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_are_read_and_written() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("2000-02-29T23:59:59.000Z", 951_868_799),
            ("2000-03-01T00:00:00.000Z", 951_868_800),
            ("2026-11-24T05:38:07.000Z", 1_795_498_687),
            ("2100-03-01T00:00:00.000Z", 4_107_542_400),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(rfc3339(time), text);
            assert_eq!(parse(text), Some(time), "{text}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_reads_back() {
        for day in 0..146_097 {
            let (year, month, of_month) = civil(day);
            assert_eq!(days(year, month, of_month), day);
        }
    }

    #[test]
    fn any_number_of_digits_is_read() {
        let at = |nanoseconds| Some(UNIX_EPOCH + Duration::from_nanos(nanoseconds));
        assert_eq!(parse("1970-01-01T00:00:01Z"), at(1_000_000_000));
        assert_eq!(parse("1970-01-01T00:00:00.5Z"), at(500_000_000));
        assert_eq!(parse("1970-01-01T00:00:00.123456789Z"), at(123_456_789));
        assert_eq!(parse("1970-01-01T00:00:00.1234567899Z"), at(123_456_789));
    }

    #[test]
    fn what_is_no_time_in_utc_is_refused() {
        for text in [
            "",
            "Z",
            "T",
            "1970-01-01T00:00:00",
            "1970-01-01 00:00:00Z",
            "1970-01-01T00:00:00+01:00",
            "1969-12-31T23:59:59Z",
            "1970-13-01T00:00:00Z",
            "1970-00-01T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00.xZ",
            "1970-01-01T00:00Z",
            "é970-01-01T00:00:00Z",
            "1970-01-01T00:00:00.éééééééééZ",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
