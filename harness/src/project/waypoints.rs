//! The containers of a project as the mesh sees them: waypoints, and consumers with and without their links.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::override_file::WAYPOINT_LABEL;
use super::plan::{Plan, Waypoint};
use crate::engine::{Inspected, label};

/// The addresses of each service's waypoints, by network.
pub type Addresses = BTreeMap<String, BTreeSet<(String, IpAddr)>>;

/// The waypoints' addresses.
pub fn addresses(containers: &[Inspected]) -> Addresses {
    let mut all = Addresses::new();
    for container in waypoints(containers) {
        let own = container
            .addresses
            .iter()
            .map(|(network, address)| (network.clone(), *address));
        all.entry(container.label(WAYPOINT_LABEL).to_owned())
            .or_default()
            .extend(own);
    }
    all
}

/// The waypoints' containers.
pub fn waypoints(containers: &[Inspected]) -> impl Iterator<Item = &Inspected> {
    containers
        .iter()
        .filter(|container| container.labels.contains_key(WAYPOINT_LABEL))
}

/// Waypoints that the plan does not have.
pub fn superfluous<'a>(containers: &'a [Inspected], plan: &Plan) -> Vec<&'a Inspected> {
    let planned = |container: &&Inspected| {
        let waypoint = plan.waypoints.get(container.label(WAYPOINT_LABEL));
        waypoint.is_some_and(|waypoint| waypoint.name == container.label(label::SERVICE))
    };
    waypoints(containers)
        .filter(|container| !planned(container))
        .collect()
}

/// Waypoints that have lost an address of `before`, and callers that were started earlier than they, a line each.
pub fn moved(before: &Addresses, containers: &[Inspected], plan: &Plan) -> Vec<String> {
    let now = addresses(containers);
    let lost = before
        .iter()
        .filter(|(service, addresses)| now.get(*service).is_some_and(|now| !addresses.is_subset(now)));
    let line = |(service, _): (&String, _)| {
        let own = waypoints(containers).filter(|container| container.label(WAYPOINT_LABEL) == service);
        let started = own.map(|container| container.started).max()?;
        let consumers: Vec<&str> = plan.consumers(service).collect();
        let early = containers.iter().filter(|container| {
            container.running()
                && container.started < started
                && consumers.contains(&container.label(label::SERVICE))
        });
        let early: Vec<&str> = early.map(|container| container.name.as_str()).collect();
        (!early.is_empty()).then(|| {
            format!(
                "the waypoint of {service} has another address than before: restart what resolves names only once: {}",
                early.join(", ")
            )
        })
    };
    lost.filter_map(line).collect()
}

/// Waypoints with other containers than `before`, a line each that says why.
pub fn replaced(before: &[Inspected], after: &[Inspected]) -> Vec<String> {
    let by_name = |name: &str| before.iter().find(|container| container.name == name);
    let of = |now: &Inspected| {
        let old = by_name(&now.name).filter(|old| old.id != now.id)?;
        let what = match old.image_id == now.image_id {
            true => "definition",
            false => "image",
        };
        Some(format!("{} was replaced, because its {what} changed", now.name))
    };
    waypoints(after).filter_map(of).collect()
}

/// Called services whose waypoint `up` has not added yet: it has no container, and no caller is linked to it. So are those
/// whose ports the last `up` saw only at its end.
pub fn not_added<'a>(containers: &[Inspected], plan: &'a Plan) -> BTreeSet<&'a str> {
    let added = |(service, waypoint): &(&String, &Waypoint)| {
        let link = format!("{}:", target(waypoint));
        waypoints(containers).any(|container| container.label(WAYPOINT_LABEL) == *service)
            || containers
                .iter()
                .flat_map(|container| &container.links)
                .any(|to| to.starts_with(&link))
    };
    let missing = plan.waypoints.iter().filter(|waypoint| !added(waypoint));
    missing.map(|(service, _)| service.as_str()).collect()
}

/// Running containers in the network namespace of one that does not run: they reach nothing any more.
pub fn without_namespace(containers: &[Inspected]) -> Vec<&Inspected> {
    let running = || containers.iter().filter(|container| container.running());
    let ids: BTreeSet<&str> = running().map(|container| container.id.as_str()).collect();
    let dead = |container: &&Inspected| {
        let owner = container.network_mode.strip_prefix("container:");
        owner.is_some_and(|owner| !ids.contains(owner))
    };
    running().filter(dead).collect()
}

/// The name that consumers link to.
fn target(waypoint: &Waypoint) -> &str {
    waypoint.alias.as_ref().unwrap_or(&waypoint.name)
}

/// What is wrong with the running project, a line each. `image_id`: the image that waypoints are to have, if it is known.
pub fn problems(containers: &[Inspected], plan: &Plan, image_id: Option<&str>) -> Vec<String> {
    let not_added = not_added(containers, plan);
    let mut problems: Vec<String> = not_added
        .iter()
        .map(|service| format!("{service} is called without a waypoint: `up` adds it"))
        .collect();
    let added = |(service, _): &(&String, &Waypoint)| !not_added.contains(service.as_str());
    for (service, waypoint) in plan.waypoints.iter().filter(added) {
        let mut own = waypoints(containers)
            .filter(|container| container.label(WAYPOINT_LABEL) == service)
            .peekable();
        if own.peek().is_none() {
            problems.push(format!(
                "{} has no container: the name {service} leads nowhere",
                waypoint.name
            ));
        }
        for container in own {
            if !container.running() {
                problems.push(format!(
                    "{} is {}: the name {service} leads nowhere",
                    container.name, container.state
                ));
            }
            if image_id.is_some_and(|id| id != container.image_id) {
                problems.push(format!(
                    "{} has another image than {}: `up` replaces it",
                    container.name,
                    super::image()
                ));
            }
        }
        if !waypoint.moved.ports.is_empty() {
            let own = containers
                .iter()
                .filter(|container| container.label(label::SERVICE) == service && container.publishes);
            problems.extend(own.map(|container| {
                format!(
                    "{} is {} with host ports that its waypoint has: Compose ran without what is added; `up` moves \
                     them",
                    container.name, container.state
                )
            }));
        }
    }
    problems.extend(without_namespace(containers).into_iter().map(|container| {
        format!(
            "{} is in the network namespace of a container that does not run: `up` recreates it",
            container.name
        )
    }));
    for container in containers.iter().filter(|container| container.running()) {
        let Some(names) = plan.links.get(container.label(label::SERVICE)) else {
            continue;
        };
        let missing: Vec<&str> = names
            .iter()
            .filter(|(name, called)| {
                // A file has `$$` for `$`.
                let link = format!("{}:{}", target(&plan.waypoints[*called]), name.replace("$$", "$"));
                !not_added.contains(called.as_str()) && !container.links.contains(&link)
            })
            .map(|(name, _)| name.as_str())
            .collect();
        if !missing.is_empty() {
            problems.push(format!(
                "{} calls {} past the waypoints, because Compose ran without what is added; `up` links it again",
                container.name,
                missing.join(", ")
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::model::Config;
    use super::super::plan::Facts;
    use super::*;

    fn container(service: &str, state: &str) -> Inspected {
        Inspected {
            id: format!("id-{service}"),
            name: format!("shop-{service}-1"),
            state: state.to_owned(),
            labels: BTreeMap::from([(label::SERVICE.to_owned(), service.to_owned())]),
            ..Inspected::default()
        }
    }

    fn waypoint(service: &str, state: &str, address: [u8; 4]) -> Inspected {
        let mut found = container(&format!("{service}-mesh"), state);
        found.labels.insert(WAYPOINT_LABEL.to_owned(), service.to_owned());
        found.addresses.insert("n".to_owned(), address.into());
        found
    }

    #[test]
    fn stopped_waypoints_and_consumers_without_links_are_problems() {
        let config = "
services: {web: {}, api: {expose: ['1'], networks: {default: {aliases: [a$$]}}, labels: {mesh.calls: none}}}
";
        let config = Config::read(&serde_saphyr::from_str(config).unwrap()).unwrap();
        let plan = Plan::new("shop", &config, &Facts::default()).unwrap();
        let mut web = container("web", "running");
        let stopped = [web.clone(), waypoint("api", "exited", [10, 0, 0, 2])];
        assert_eq!(
            problems(&stopped, &plan, None),
            [
                "shop-api-mesh-1 is exited: the name api leads nowhere",
                "shop-web-1 calls a$$, api past the waypoints, because Compose ran without what is added; `up` links it again"
            ]
        );
        web.links
            .extend(["api-mesh:api", "api-mesh:a$"].map(str::to_owned));
        assert_eq!(
            problems(&[web.clone()], &plan, None),
            ["api-mesh has no container: the name api leads nowhere"]
        );
        assert_eq!(
            problems(&[container("web", "running")], &plan, None),
            ["api is called without a waypoint: `up` adds it"]
        );
        let mut joined = container("job", "running");
        joined.network_mode = "container:gone".to_owned();
        let good = [web, waypoint("api", "running", [10, 0, 0, 2])];
        assert!(problems(&good, &plan, Some("")).is_empty());
        assert_eq!(problems(&[joined], &plan, None).len(), 2);
        assert!(superfluous(&good, &plan).is_empty());
        assert_eq!(
            superfluous(&[waypoint("old", "running", [10, 0, 0, 3])], &plan).len(),
            1
        );
    }

    /// Rule 9.
    #[test]
    fn callers_that_were_started_before_a_moved_waypoint_are_named() {
        let config = "services: {web: {}, cron: {}, api: {expose: ['1'], labels: {mesh.calls: none}}}";
        let config = Config::read(&serde_saphyr::from_str(config).unwrap()).unwrap();
        let plan = Plan::new("shop", &config, &Facts::default()).unwrap();
        let started = |mut container: Inspected, second| {
            container.started = Some((second, 0));
            container
        };
        let before = addresses(&[waypoint("api", "running", [10, 0, 0, 3])]);
        let now = [
            started(container("web", "running"), 1),
            started(waypoint("api", "running", [10, 0, 0, 2]), 2),
            started(container("cron", "running"), 3),
        ];
        let said = moved(&before, &now, &plan);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].ends_with("only once: shop-web-1"), "{}", said[0]);
        assert!(moved(&addresses(&now), &now, &plan).is_empty());
        assert!(moved(&Addresses::new(), &now, &plan).is_empty());
        assert!(moved(&before, &now[1..], &plan).is_empty());
    }

    /// Rule 9.
    #[test]
    fn a_replaced_waypoint_is_named_with_what_changed() {
        let before = waypoint("api", "running", [10, 0, 0, 2]);
        let mut after = before.clone();
        let said = |after: &Inspected| {
            replaced(
                std::slice::from_ref(&before),
                &[after.clone(), container("web", "running")],
            )
        };
        assert!(said(&after).is_empty());
        after.id = "other".to_owned();
        assert_eq!(
            said(&after),
            ["shop-api-mesh-1 was replaced, because its definition changed"]
        );
        after.image_id = "newer".to_owned();
        assert_eq!(
            said(&after),
            ["shop-api-mesh-1 was replaced, because its image changed"]
        );
        assert!(replaced(&[], &[after]).is_empty());
    }

    /// Rule 7.
    #[test]
    fn a_port_that_came_back_to_its_service_is_named() {
        let config = "services: {web: {ports: ['80:80'], labels: {mesh.publish: waypoint}}}";
        let config = Config::read(&serde_saphyr::from_str(config).unwrap()).unwrap();
        let plan = Plan::new("shop", &config, &Facts::default()).unwrap();
        let mut web = container("web", "created");
        let mut own = waypoint("web", "running", [10, 0, 0, 2]);
        own.publishes = true;
        own.image_id = "old".to_owned();
        assert!(problems(&[web.clone(), own.clone()], &plan, None).is_empty());
        web.publishes = true;
        let found = problems(&[web, own], &plan, Some("new"));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("shop-web-mesh-1 has another image than service-mesh-example:"));
        assert!(found[1].starts_with("shop-web-1 is created with host ports that its waypoint has"));
    }
}
