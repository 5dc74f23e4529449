//! Compose's syntax for ports, durations, numbers and booleans.

use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

use super::PublishedPort;

/// Parses `[[IP:]HOST-PORT:]CONTAINER-PORT[/tcp]`; for an empty or zero host port the engine chooses a free one.
pub(super) fn port(text: &str) -> Result<PublishedPort, String> {
    let expected = || {
        format!("port `{text}`: expected [[IP:]HOST-PORT:]CONTAINER-PORT[/tcp], one port, an IPv4 address")
    };
    let plain = text.strip_suffix("/tcp").unwrap_or(text);
    let parts: Vec<&str> = plain.split(':').collect();
    let (ip, host, container) = match parts[..] {
        [container] => ("0.0.0.0", "", container),
        [host, container] => ("0.0.0.0", host, container),
        [ip, host, container] => (ip, host, container),
        _ => return Err(expected()),
    };
    let host_ip: Ipv4Addr = ip.parse().map_err(|_| expected())?;
    let host_port = match host {
        "" => None,
        host => Some(number::<u16>(host).ok_or_else(expected)?).filter(|port| *port != 0),
    };
    let container_port = number::<u16>(container)
        .filter(|port| *port != 0)
        .ok_or_else(expected)?;
    Ok(PublishedPort {
        host_ip,
        host_port,
        container_port,
    })
}

/// Parses a duration such as `10s`, `500ms` or `1m30s`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("duration `{text}`: expected a form such as 10s, 500ms or 1m30s");
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(expected)?;
        let amount: u32 = rest[..digits].parse().map_err(|_| expected())?;
        let after = &rest[digits..];
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let unit = match &after[..letters] {
            "us" => Duration::from_micros(1),
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            _ => return Err(expected()),
        };
        let part = unit.checked_mul(amount).ok_or_else(expected)?;
        total = total.checked_add(part).ok_or_else(expected)?;
        rest = &after[letters..];
    }
    if text.is_empty() {
        Err(expected())
    } else {
        Ok(total)
    }
}

/// Parses a count.
pub(super) fn count(text: &str) -> Result<u32, String> {
    number(text).ok_or_else(|| format!("`{text}`: expected a number"))
}

/// Parses a boolean, in upper or lower case.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "y" | "on" => Ok(true),
        "false" | "no" | "n" | "off" => Ok(false),
        _ => Err(format!("`{text}`: expected true or false")),
    }
}

/// Parses decimal digits without a sign.
fn number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}
