//! The file that a waypoint reads: the name that it balances, and its ports.

use serde::Serialize;

use super::app_protocol::AppProtocol;
use super::plan::Waypoint;
use super::settings::Check;

#[derive(Debug, Serialize)]
struct File<'a> {
    host: &'a str,
    ports: Vec<Listener<'a>>,
}

#[derive(Debug, Serialize)]
struct Listener<'a> {
    port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<AppProtocol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_timeout: Option<u64>,
    check: &'a Check,
}

/// The text of a waypoint's file. An HTTP check is made at each port: a port that the check does not suit gets its own
/// service, or another check.
///
/// # Errors
/// It cannot be written as JSON.
pub fn text(waypoint: &Waypoint) -> Result<String, String> {
    let listener = |port: &u16| Listener {
        port: *port,
        protocol: waypoint.protocols.get(port).copied(),
        hold: waypoint.hold,
        idle_timeout: waypoint.idle_timeout,
        check: &waypoint.check,
    };
    let file = File {
        host: &waypoint.host,
        ports: waypoint.ports.iter().map(listener).collect(),
    };
    let text = serde_json::to_string_pretty(&file).map_err(|error| error.to_string())?;
    Ok(format!("{text}\n"))
}

/// What is wrong with the text that a waypoint has now, which is `None` without a file.
pub fn problem(waypoint: &Waypoint, written: Option<&str>) -> Option<String> {
    let service = &waypoint.service;
    let Some(written) = written else {
        return Some(format!("the waypoint of {service} has no file: `up` writes it"));
    };
    text(waypoint).is_ok_and(|wanted| wanted != written).then(|| {
        format!(
            "the project changed, and the waypoint of {service} goes on as before: `up` tells it the change"
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::moved::Moved;
    use super::*;

    #[test]
    fn the_file_has_the_keys_that_a_waypoint_reads() {
        let mut waypoint = Waypoint {
            name: "api-mesh".to_owned(),
            service: "api".to_owned(),
            host: "api".to_owned(),
            ports: BTreeSet::from([80, 9000]),
            protocols: BTreeMap::from([(80, AppProtocol::Http)]),
            check: Check::Http("/healthz".to_owned()),
            hold: Some(500),
            idle_timeout: None,
            networks: BTreeMap::new(),
            alias: None,
            count: None,
            moved: Moved::default(),
            exposed: BTreeSet::new(),
        };
        let read = |waypoint: &Waypoint| -> serde_json::Value {
            serde_json::from_str(&text(waypoint).unwrap()).unwrap()
        };
        let expected = serde_json::json!({"host": "api", "ports": [
            {"port": 80, "protocol": "http", "hold": 500, "check": {"http": "/healthz"}},
            {"port": 9000, "hold": 500, "check": {"http": "/healthz"}},
        ]});
        assert_eq!(read(&waypoint), expected);
        let written = text(&waypoint).unwrap();
        assert_eq!(problem(&waypoint, Some(&written)), None);
        waypoint.check = Check::Passive;
        assert_eq!(read(&waypoint)["ports"][0]["check"], "passive");
        let changed = problem(&waypoint, Some(&written)).unwrap();
        assert!(changed.contains("the project changed"), "{changed}");
        let missing = problem(&waypoint, None).unwrap();
        assert!(missing.contains("api has no file"), "{missing}");
    }
}
