//! What of a project would break, or goes past waypoints.

use std::collections::BTreeMap;

use super::consumers::PAIRS_LIMIT;
use super::images::reads_engine;
use super::model::Config;
use super::moved::Proxied;
use super::plan::Waypoint;

/// The warnings, a sentence each. `limited`: whether pairs of services were left out for their number.
pub(super) fn warnings(
    config: &Config,
    waypoints: &BTreeMap<String, Waypoint>,
    limited: bool,
) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, service) in &config.services {
        if service.replicas > 1
            && let Some(mount) = service.mounts.iter().find(|mount| mount.shared())
        {
            warnings.push(format!(
                "{name}: {} containers write to the same {}: databases lose data so",
                service.replicas, mount.source
            ));
        }
        for key in &service.swarm_only {
            warnings.push(format!("{name}: deploy.{key} is read by Swarm only"));
        }
        warnings.extend(engine_reader(config, waypoints, name));
        for (key, attachment) in &service.networks {
            if !attachment.addresses.is_empty() && service.replicas > 1 {
                warnings.push(format!(
                    "{name}: a static address on {key} cannot be that of several containers"
                ));
            }
        }
        for host in service
            .own_names
            .iter()
            .filter(|host| config.services.contains_key(*host))
        {
            warnings.push(format!(
                "{name}: its own extra_hosts or external_links define {host}: it goes past the waypoint"
            ));
        }
    }
    if limited {
        warnings.push(format!(
            "more than {PAIRS_LIMIT} pairs of services share a network, so a service is linked only to those that it names in \
             depends_on, links, environment or command; mesh.calls of a service adds others"
        ));
    }
    warnings
}

/// A proxy that reads the engine, and the services that it would find by their labels and not by their waypoints.
fn engine_reader(config: &Config, waypoints: &BTreeMap<String, Waypoint>, name: &str) -> Option<String> {
    let service = &config.services[name];
    let image = service.image.as_deref().unwrap_or_default();
    let socket = |path: &str| path.ends_with("docker.sock");
    if !reads_engine(image) || !service.mounts.iter().any(|mount| socket(&mount.target)) {
        return None;
    }
    let past = config.services.iter().filter(|(name, service)| {
        let stays = |waypoint: &Waypoint| waypoint.moved.proxied.is_none();
        waypoints.get(*name).is_some_and(stays) && Proxied::of(service).is_some()
    });
    let past: Vec<&str> = past.map(|(name, _)| name.as_str()).collect();
    (!past.is_empty()).then(|| {
        format!(
            "{name}: {image} reads the containers' addresses from the engine, so it goes past the waypoints of {}; \
             mesh.move-labels: proxy there leads it to them",
            past.join(", ")
        )
    })
}
