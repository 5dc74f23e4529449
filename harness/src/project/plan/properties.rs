use proptest::prelude::*;

use super::*;
use crate::project::model::Namespace;

fn services() -> impl Strategy<Value = Config> {
    let service = (
        any::<bool>(),
        0..5_u8,
        prop::collection::btree_set(0..3_u8, 0..3),
        prop::option::of(0..6_u8),
        prop::collection::vec((0..6_u8, 0..8_u8), 0..3),
        prop::option::of(2..7_u8),
    );
    prop::collection::vec(service, 1..6).prop_map(|services| {
        let mut config = Config::default();
        for (index, (ports, kind, networks, joined, links, address)) in services.into_iter().enumerate() {
            let mut service = Service {
                replicas: 1,
                image: (kind == 4).then(|| "redis".to_owned()),
                ..Service::default()
            };
            if ports {
                service.ports.extend(Port::parse("80"));
            }
            service.links = links
                .into_iter()
                .map(|(to, alias)| (format!("s{alias}"), format!("s{to}")))
                .collect();
            match joined {
                Some(to) if kind == 3 => service.namespace = Namespace::Service(format!("s{to}")),
                _ => {
                    service.networks = networks
                        .iter()
                        .map(|key| (format!("n{key}"), Default::default()))
                        .collect();
                    if let (Some(address), Some(attachment)) = (address, service.networks.get_mut("n0")) {
                        attachment.addresses.push(IpAddr::from([10, 0, 0, address]));
                    }
                }
            }
            config.services.insert(format!("s{index}"), service);
        }
        let network = crate::project::model::Network {
            subnets: vec!["10.0.0.0/28".to_owned()],
            ..Default::default()
        };
        config.networks.insert("n0".to_owned(), network);
        config
    })
}

/// Values of the shapes that Compose prints and of others, under the keys that are read.
fn printed() -> impl Strategy<Value = serde_json::Value> {
    const WORDS: &[&str] = &[
        "80",
        "80-90",
        "8080:80/udp",
        "a:b:ro",
        "api",
        "10.0.0.2",
        "10.0.0.0/30",
        "::1",
        "service:api",
        "host",
        "x:y:z:1",
        "70000",
        "",
        "-",
        "http /",
        "http",
        "80/http",
        "CMD",
        "curl http://localhost",
        "\u{0}",
        "services",
    ];
    const KEYS: &[&str] = &[
        "services",
        "networks",
        "api",
        "web",
        "ports",
        "expose",
        "volumes",
        "labels",
        "mesh.check",
        "mesh.calls",
        "mesh.protocol",
        "app_protocol",
        "healthcheck",
        "test",
        "image",
        "network_mode",
        "links",
        "external_links",
        "depends_on",
        "target",
        "published",
        "ipam",
        "config",
        "subnet",
        "ipv4_address",
        "aliases",
        "deploy",
        "replicas",
        "external",
        "command",
    ];
    let leaf = prop_oneof![
        prop::sample::select(WORDS).prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        any::<bool>().prop_map(Into::into),
        Just(serde_json::Value::Null),
    ];
    let tree = leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::vec((prop::sample::select(KEYS), inner), 0..6).prop_map(|entries| {
                serde_json::Value::Object(
                    entries
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    });
    (tree.clone(), tree.clone(), tree).prop_map(|(api, web, network)| {
        serde_json::json!({"services": {"api": api, "web": web}, "networks": {"default": network, "api": {}}})
    })
}

proptest! {
    #[test]
    fn whatever_compose_prints_is_planned_or_refused(printed in printed()) {
        use crate::project::override_file::{Source, additions, whole, yaml};

        if let Ok(config) = Config::read(&printed)
            && let Ok(plan) = Plan::new("shop", &config, &Facts::default())
        {
            let added = additions(&plan, "mesh:1", &Source::Volume("v".to_owned()));
            prop_assert!(yaml(&whole(&printed, &added)).is_ok());
        }
    }

    #[test]
    fn a_plan_never_shadows_a_name_without_a_waypoint_that_is_reached(config in services()) {
        let plan = Plan::new("shop", &config, &Facts::default()).unwrap();
        for (consumer, names) in &plan.links {
            let from = &config.services[consumer];
            prop_assert_eq!(&from.namespace, &Namespace::Own);
            for (name, called) in names {
                prop_assert_ne!(consumer, called, "a service calls itself directly");
                prop_assert!(plan.waypoints.contains_key(called));
                prop_assert!(from.networks.keys().any(|key| plan.waypoints[called].networks.contains_key(key)));
                prop_assert!(!config.services.contains_key(name) || name == called || from.links.get(name) == Some(called));
            }
        }
        let mut addresses = BTreeSet::new();
        let fixed = config.services.values().flat_map(|service| service.networks.values());
        addresses.extend(fixed.flat_map(|attachment| attachment.addresses.clone()));
        for waypoint in plan.waypoints.values() {
            prop_assert!(!waypoint.ports.is_empty() && !config.services.contains_key(&waypoint.name));
            for address in waypoint.networks.values().flatten() {
                prop_assert!(addresses.insert(*address), "{} is assigned twice", address);
            }
        }
    }
}
