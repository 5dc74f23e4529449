//! Collects what the engine knows about a project.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::folder::State;
use super::health_check::called_by;
use super::open::Project;
use super::override_file::WAYPOINT_LABEL;
use super::plan::Facts;
use super::ports::Port;
use crate::engine::{Docker, Inspected};
use crate::error::Error;

/// The facts of a project. Without an engine, those of its state.
///
/// # Errors
/// The engine fails.
pub async fn facts(
    project: &Project,
    state: &State,
    engine: Option<&Docker>,
    containers: &[Inspected],
) -> Result<Facts, Error> {
    let mut facts = Facts {
        seen: state.seen.clone(),
        previous: state.addresses.clone(),
        moved: state.moved.clone(),
        ..Facts::default()
    };
    let Some(engine) = engine else {
        return Ok(facts);
    };
    for name in project.config.services.keys() {
        if let Some(image) = engine.inspect_image(&project.image(name)).await? {
            let ports = image.ports.iter().filter_map(|port| Port::parse(port));
            facts.image_ports.insert(name.clone(), ports.collect());
            let called = called_by(&image.health_check);
            facts.image_checks.insert(name.clone(), called);
        }
    }
    let fixed: BTreeSet<&String> = project
        .config
        .services
        .values()
        .flat_map(|service| &service.networks)
        .filter(|(_, attachment)| !attachment.addresses.is_empty())
        .map(|(key, _)| key)
        .collect();
    let waypoints: BTreeSet<&str> = containers
        .iter()
        .filter(|container| container.labels.contains_key(WAYPOINT_LABEL))
        .map(|container| container.name.as_str())
        .collect();
    for key in fixed {
        let Some(network) = engine.inspect_network(&project.network_name(key)).await? else {
            continue;
        };
        let subnets = network.subnets.iter().filter_map(|subnet| subnet.parse().ok());
        facts.subnets.insert(key.clone(), subnets.collect());
        let others = network
            .containers
            .iter()
            .filter(|(name, _)| !waypoints.contains(name.as_str()));
        let used: BTreeSet<IpAddr> = others
            .flat_map(|(_, addresses)| addresses.clone())
            .chain(network.gateways)
            .collect();
        facts.used.insert(key.clone(), used);
    }
    Ok(facts)
}
