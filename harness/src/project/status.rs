//! A project's status: its waypoints, what is left out, and what is wrong. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::app_protocol::AppProtocol;
use super::override_file::WAYPOINT_LABEL;
use super::plan::Plan;
use super::waypoints::waypoints;
use crate::console::table;
use crate::engine::Inspected;

/// Incremented when a key is removed or changes its meaning; keys may be added at any time.
const VERSION: u32 = 1;
/// The state of a waypoint without a container.
const MISSING: &str = "missing";

/// The status of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProjectStatus {
    /// The version of this document.
    pub version: u32,
    /// Whether there is no problem.
    pub complete: bool,
    /// The project's name.
    pub project: String,
    /// Its waypoints, by the name of their service.
    pub waypoints: Vec<WaypointStatus>,
    /// Services that are called without a waypoint.
    pub left_out: Vec<LeftOut>,
    /// What is wrong, a line each.
    pub problems: Vec<String>,
}

/// A waypoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaypointStatus {
    /// The called service.
    pub service: String,
    /// The waypoint's own name in Compose.
    pub waypoint: String,
    /// The states of its containers, for instance `running`; `missing` without one.
    pub states: Vec<String>,
    /// The ports on which it listens if a container of the service does.
    pub ports: Vec<u16>,
    /// What connections to them carry, if it is not TCP: `http`, `http/1.x` or `h2`.
    pub protocols: BTreeMap<u16, AppProtocol>,
    /// The services whose calls lead to it.
    pub called_by: Vec<String>,
    /// Whether it has the host ports of the service.
    pub publishes: bool,
}

/// A service without a waypoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The service.
    pub service: String,
    /// Why it gets none.
    pub reason: String,
}

impl ProjectStatus {
    /// The status of the project `project` with these containers.
    pub fn new(project: &str, plan: &Plan, containers: &[Inspected], problems: Vec<String>) -> Self {
        let of = |service: &String| {
            let waypoint = &plan.waypoints[service];
            let own = waypoints(containers).filter(|own| own.label(WAYPOINT_LABEL) == service);
            let mut states: Vec<String> = own.map(|container| container.state.clone()).collect();
            if states.is_empty() {
                states.push(MISSING.to_owned());
            }
            WaypointStatus {
                service: service.clone(),
                waypoint: waypoint.name.clone(),
                states,
                ports: waypoint.ports.iter().copied().collect(),
                protocols: waypoint.protocols.clone(),
                called_by: plan.consumers(service).map(str::to_owned).collect(),
                publishes: !waypoint.moved.ports.is_empty(),
            }
        };
        let left_out = plan.left_out.iter().map(|(service, reason)| LeftOut {
            service: service.clone(),
            reason: reason.clone(),
        });
        Self {
            version: VERSION,
            complete: problems.is_empty(),
            project: project.to_owned(),
            waypoints: plan.waypoints.keys().map(of).collect(),
            left_out: left_out.collect(),
            problems,
        }
    }

    /// The waypoints as a table.
    pub fn table(&self) -> String {
        let rows = self.waypoints.iter().map(|waypoint| {
            let ports = waypoint
                .ports
                .iter()
                .map(|port| match waypoint.protocols.get(port) {
                    Some(protocol) => format!("{port}/{protocol}"),
                    None => port.to_string(),
                });
            let ports: Vec<String> = ports.collect();
            vec![
                waypoint.service.clone(),
                waypoint.waypoint.clone(),
                waypoint.states.join(","),
                ports.join(","),
                waypoint.called_by.join(","),
            ]
        });
        format!(
            "{}\n",
            table::plain(&["SERVICE", "WAYPOINT", "STATE", "PORTS", "CALLED BY"], rows)
        )
    }

    /// What changed since `before`, a line each; empty if nothing changed that a line would say.
    pub fn changes(&self, before: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for now in &self.waypoints {
            let old = before
                .waypoints
                .iter()
                .find(|old| old.waypoint == now.waypoint)
                .map(|old| &old.states);
            if old != Some(&now.states) {
                lines.push(format!("{} is {}", now.waypoint, now.states.join(", ")));
            }
        }
        let known = |line: &&String, status: &Self| status.problems.contains(line);
        let solved = before.problems.iter().filter(|line| !known(line, self));
        lines.extend(solved.map(|line| format!("solved: {line}")));
        lines.extend(self.problems.iter().filter(|line| !known(line, before)).cloned());
        lines
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::model::Config;
    use super::super::plan::Facts;
    use super::*;

    fn status(states: &[&str], problems: &[&str]) -> ProjectStatus {
        let config = "
services:
  web: {restart: always}
  api: {ports: ['8000:80'], labels: {mesh.publish: waypoint, mesh.protocol: http}}
  dns: {expose: ['53/udp']}
";
        let config = Config::read(&serde_saphyr::from_str(config).unwrap()).unwrap();
        let plan = Plan::new("shop", &config, &Facts::default()).unwrap();
        let container = |state: &&str| Inspected {
            state: (*state).to_owned(),
            labels: BTreeMap::from([(WAYPOINT_LABEL.to_owned(), "api".to_owned())]),
            ..Inspected::default()
        };
        let containers: Vec<Inspected> = states.iter().map(container).collect();
        let problems = problems.iter().map(|problem| (*problem).to_owned()).collect();
        ProjectStatus::new("shop", &plan, &containers, problems)
    }

    #[test]
    fn the_document_has_the_documented_keys() {
        let read = serde_json::to_value(status(&["running"], &["p"])).unwrap();
        let reason = read["left_out"][0]["reason"].clone();
        let expected = json!({
            "version": 1,
            "complete": false,
            "project": "shop",
            "waypoints": [{
                "service": "api", "waypoint": "api-mesh", "states": ["running"], "ports": [80],
                "protocols": {"80": "http"},
                "called_by": ["dns", "web"], "publishes": true,
            }],
            "left_out": [{"service": "dns", "reason": reason}],
            "problems": ["p"],
        });
        assert_eq!(read, expected);
        let documented = include_str!("../../../docs/your-own.md");
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let all = [&read, &read["waypoints"][0], &read["left_out"][0]];
        for key in all.into_iter().flat_map(keys) {
            assert!(
                documented.contains(&format!("`{key}`")),
                "docs/your-own.md lacks `{key}`"
            );
        }
    }

    #[test]
    fn only_what_changed_is_said() {
        let before = status(&["running"], &["a"]);
        assert!(before.changes(&before).is_empty());
        let after = status(&[], &["b"]);
        assert_eq!(after.changes(&before), ["api-mesh is missing", "solved: a", "b"]);
        let table = after.table();
        let row: Vec<&str> = table.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(row, ["api", "api-mesh", "missing", "80/http", "dns,web"]);
    }
}
