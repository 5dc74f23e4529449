use super::*;

fn config(text: &str) -> Config {
    Config::read(&serde_saphyr::from_str(text).unwrap()).unwrap()
}

fn plan_with(text: &str, facts: &Facts) -> Plan {
    Plan::new("shop", &config(text), facts).unwrap()
}

fn plan(text: &str) -> Plan {
    plan_with(text, &Facts::default())
}

/// The links as `CONSUMER>NAME=SERVICE`.
fn links(plan: &Plan) -> Vec<String> {
    let of = |(consumer, names): (&String, &BTreeMap<String, String>)| {
        let links = names
            .iter()
            .map(|(name, called)| format!("{consumer}>{name}={called}"));
        links.collect::<Vec<_>>()
    };
    plan.links.iter().flat_map(of).collect()
}

fn seen(services: &[(&str, &[u16])]) -> Facts {
    let ports = services
        .iter()
        .map(|(name, ports)| ((*name).to_owned(), ports.iter().copied().collect()));
    let mut facts = Facts::default();
    facts.seen.tcp = ports.collect();
    facts
}

#[test]
fn services_that_declare_a_port_are_called_by_those_on_a_common_network() {
    let plan = plan(
        "
services:
  web: {ports: ['80:80'], networks: [front, back]}
  api: {expose: ['8000'], networks: {back: {aliases: [backend]}}, container_name: the-api}
  db: {image: 'postgres:15', expose: ['5432'], networks: [back]}
  other: {networks: [front], restart: always}
",
    );
    let expected = [
        "api>db=db",
        "api>web=web",
        "other>web=web",
        "web>api=api",
        "web>backend=api",
        "web>db=db",
        "web>the-api=api",
    ];
    assert_eq!(links(&plan), expected);
    assert_eq!(plan.waypoints["db"].check, Check::Passive);
    assert_eq!(plan.waypoints["api"].check, Check::Tcp);
    assert_eq!(plan.unknown, BTreeSet::from(["other".to_owned()]));
}

/// Rule 1.
#[test]
fn waypoints_get_static_addresses_where_services_have_them() {
    let text = "
services:
  a: {expose: ['1'], networks: {n: {ipv4_address: 10.9.0.2}, plain: null}}
  b: {expose: ['1'], networks: {n: {ipv4_address: 10.9.0.6}}}
networks: {n: {ipam: {config: [{subnet: 10.9.0.0/29, gateway: 10.9.0.1}]}}}
";
    let first = plan(text);
    let addresses = |plan: &Plan, service: &str| format!("{:?}", plan.waypoints[service].networks);
    assert_eq!(addresses(&first, "a"), r#"{"n": [10.9.0.5], "plain": []}"#);
    assert_eq!(addresses(&first, "b"), r#"{"n": [10.9.0.4]}"#);
    let facts = Facts {
        previous: first.addresses(),
        used: BTreeMap::from([("n".to_owned(), BTreeSet::from(["10.9.0.3".parse().unwrap()]))]),
        ..Facts::default()
    };
    assert_eq!(plan_with(text, &facts).waypoints, first.waypoints);
    let early = text.replace(
        "  b:",
        "  early: {image: x, restart: always, networks: ['n']}\n  b:",
    );
    assert!(plan(&early).left_out["early"].contains("could take a static address of n"));
    let full = text
        .replace("10.9.0.0/29", "10.9.0.0/30")
        .replace("10.9.0.6", "10.9.0.3");
    let error = Plan::new("shop", &config(&full), &Facts::default()).unwrap_err();
    assert!(
        error.starts_with("networks.n: the subnet 10.9.0.0/30 has static addresses"),
        "{error}"
    );
}

/// Rule 2.
#[test]
fn links_of_a_service_in_anothers_namespace_go_to_the_owner() {
    let plan = plan(
        "
services:
  vpn: {image: gluetun}
  app: {network_mode: 'service:vpn', expose: ['8080']}
  api: {expose: ['80']}
  host: {network_mode: host, expose: ['1']}
",
    );
    assert_eq!(links(&plan), ["api>vpn=vpn", "vpn>api=api"]);
    assert_eq!(plan.waypoints["vpn"].ports, BTreeSet::from([8080]));
    assert!(plan.left_out["app"].contains("by the name of vpn"));
    assert!(plan.left_out["host"].contains("host's network"));
}

/// Rule 4: an absent optional service, and rule 3: an inactive one, are never linked.
#[test]
fn what_is_not_active_or_a_job_is_not_linked() {
    let mut config = config(
        "
services:
  web: {depends_on: {migrate: {condition: service_completed_successfully}}}
  migrate: {expose: ['1']}
  debug: {expose: ['2'], profiles: [debug]}
",
    );
    config.keep_active(&BTreeSet::new());
    let plan = Plan::new("shop", &config, &Facts::default()).unwrap();
    assert!(plan.links.is_empty() && plan.waypoints.is_empty());
    assert!(plan.left_out["migrate"].contains("job"));
    assert!(!plan.left_out.contains_key("debug"));
}

/// Rule 5.
#[test]
fn undeclared_ports_are_looked_for_and_no_port_is_shadowed_unserved() {
    let text = "
services:
  n8n: {image: n8n, restart: always}
  runner: {image: runner, deploy: {restart_policy: {condition: any}}}
  script: {image: x, restart: 'no'}
  store: {volumes: ['data:/d']}
  dns: {expose: ['53/udp', '53']}
";
    let first = plan(text);
    assert_eq!(first.unknown, ["n8n", "runner"].map(str::to_owned).into());
    assert!(first.left_out["script"].contains("may be a job"));
    assert!(first.left_out["store"].contains("writes to data"));
    assert!(first.left_out["dns"].contains("not TCP"));
    assert!(first.waypoints.is_empty());
    let second = plan_with(
        text,
        &seen(&[("n8n", &[5678, 5679]), ("runner", &[]), ("store", &[6379])]),
    );
    assert!(second.unknown.is_empty());
    assert_eq!(second.waypoints["n8n"].ports, BTreeSet::from([5678, 5679]));
    assert_eq!(second.waypoints["store"].ports, BTreeSet::from([6379]));
    assert!(!second.waypoints.contains_key("runner") && !second.left_out.contains_key("runner"));
    let image = Facts {
        image_ports: BTreeMap::from([(
            "runner".to_owned(),
            BTreeSet::from([Port::parse("9000/tcp").unwrap()]),
        )]),
        ..Facts::default()
    };
    assert_eq!(
        plan_with(text, &image).waypoints["runner"].ports,
        BTreeSet::from([9000])
    );
}

/// Rule 5: UDP.
#[test]
fn a_service_that_was_seen_with_a_udp_port_is_not_linked() {
    let text = "services: {web: {}, stats: {restart: always}, log: {expose: ['80']}}";
    let mut facts = seen(&[("stats", &[8126])]);
    assert!(plan_with(text, &facts).waypoints.contains_key("stats"));
    for service in ["stats", "log"] {
        facts.seen.udp.insert(service.to_owned(), BTreeSet::from([8125]));
    }
    let plan = plan_with(text, &facts);
    assert!(plan.waypoints.is_empty() && plan.links.is_empty());
    for service in ["stats", "log"] {
        let reason = &plan.left_out[service];
        assert!(reason.contains("port 8125 that is not TCP"), "{reason}");
    }
}

/// Rule 8.
#[test]
fn names_on_networks_of_several_projects_are_unique() {
    let plan = plan(
        "
services:
  web: {networks: [proxy]}
  api: {expose: ['1'], networks: [proxy]}
networks: {proxy: {external: true, name: proxy}}
",
    );
    let waypoint = &plan.waypoints["api"];
    assert_eq!(waypoint.alias.as_deref(), Some("shop-api-mesh"));
    assert_eq!(waypoint.host, "shop-api-direct");
}

#[test]
fn databases_call_nobody_and_are_not_balanced_unless_asked() {
    let text = "
services:
  web: {expose: ['80']}
  db: {image: mongo, expose: ['27017'], deploy: {replicas: 2}}
";
    let first = plan(text);
    assert!(links(&first).is_empty());
    assert!(first.left_out["db"].contains("no equal replicas"));
    let asked = text.replace(
        "expose: ['27017']",
        "expose: ['27017'], labels: {mesh.balance: all, mesh.calls: all}",
    );
    assert_eq!(links(&plan(&asked)), ["db>web=web", "web>db=db"]);
}

#[test]
fn the_users_own_links_keep_their_meaning() {
    let plan = plan(
        "
services:
  web: {links: ['blue:api', 'db:database'], external_links: ['outside:cache'], extra_hosts: ['green:10.0.0.1']}
  blue: {expose: ['1'], labels: {mesh.calls: none}}
  green: {expose: ['1'], labels: {mesh.calls: none}}
  api: {expose: ['1'], labels: {mesh.calls: none}}
  cache: {expose: ['1'], labels: {mesh.calls: none}}
  db: {expose: ['1'], labels: {mesh.calls: none}}
",
    );
    assert_eq!(
        links(&plan),
        ["web>api=blue", "web>blue=blue", "web>database=db", "web>db=db"]
    );
    assert!(
        plan.warnings
            .iter()
            .any(|warning| warning.contains("define green")),
        "{:?}",
        plan.warnings
    );
    assert!(!plan.waypoints.contains_key("api") && !plan.waypoints.contains_key("cache"));
}

#[test]
fn an_alias_of_several_services_is_not_linked() {
    let plan = plan(
        "
services:
  web: {}
  a: {expose: ['1'], networks: {default: {aliases: [both, only-a, b]}}, labels: {mesh.calls: none}}
  b: {expose: ['1'], networks: {default: {aliases: [both]}}, labels: {mesh.calls: none}}
",
    );
    assert_eq!(links(&plan), ["web>a=a", "web>only-a=a"]);
}

#[test]
fn a_large_project_links_only_what_is_named() {
    let mut text = "services:\n  web: {environment: {URL: 'http://s3:80/'}, depends_on: [s4], labels: {mesh.calls: 's5'}}\n  ui: {command: 'serve --api=s6:80', depends_on: [s7]}\n".to_owned();
    for index in 0..20 {
        text.push_str(&format!("  s{index}: {{expose: ['80']}}\n"));
    }
    let plan = plan(&text);
    assert_eq!(links(&plan), ["ui>s6=s6", "ui>s7=s7", "web>s5=s5"]);
    assert!(
        plan.warnings.iter().any(|warning| warning.contains("mesh.calls")),
        "{:?}",
        plan.warnings
    );
}

#[test]
fn a_service_whose_name_cannot_be_looked_up_is_not_linked() {
    let mut names: Vec<String> = ["1", "no.1", "-x", "a..b", ".a"].map(str::to_owned).into();
    names.push("a".repeat(64));
    for name in names {
        let plan = plan(&format!("services: {{web: {{}}, '{name}': {{expose: ['80']}}}}"));
        assert!(plan.left_out[&name].contains("not a host name"), "{name}");
        assert!(plan.links.is_empty());
    }
    for name in ["1a", "0x10", "no.1a", "UPPER_case.dot-", "_x"] {
        let plan = plan(&format!("services: {{web: {{}}, '{name}': {{expose: ['80']}}}}"));
        assert!(plan.waypoints.contains_key(name), "{name}");
    }
}

#[test]
fn each_waypoint_has_a_name_of_its_own() {
    let plan = plan(
        "services: {api: {expose: ['80']}, api-mesh: {expose: ['80']}, api-mesh-mesh-mesh: {expose: ['80']}, web: {}}",
    );
    let names = plan.waypoints.values().map(|waypoint| waypoint.name.as_str());
    let expected = [
        "api-mesh-mesh",
        "api-mesh-mesh-mesh-mesh",
        "api-mesh-mesh-mesh-mesh-mesh",
    ];
    assert_eq!(names.collect::<Vec<_>>(), expected);
}

#[test]
fn wrong_labels_are_named_with_their_service() {
    for (labels, expected) in [
        ("{mesh.check: ping}", "services.a: label mesh.check: `ping`"),
        ("{mesh.calls: nobody}", "services.a: mesh.calls: `nobody`"),
    ] {
        let config = config(&format!("services: {{a: {{labels: {labels}}}}}"));
        let error = Plan::new("shop", &config, &Facts::default()).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn what_would_break_is_warned_of() {
    let plan = plan(
        "
services:
  db: {image: postgres, expose: ['5432'], volumes: ['pg:/data'], deploy: {replicas: 2, endpoint_mode: vip, mode: replicated}}
  traefik: {image: 'traefik:v3', volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro'], labels: {traefik.enable: 'true'}}
  api: {expose: ['80'], labels: {traefik.enable: 'true'}}
  led: {expose: ['80'], labels: {traefik.enable: 'true', mesh.move-labels: proxy}}
",
    );
    let all = plan.warnings.join("\n");
    for expected in [
        "db: 2 containers write to the same pg",
        "deploy.endpoint_mode",
        "traefik: traefik:v3 reads the containers' addresses from the engine, so it goes past the waypoints of api;",
    ] {
        assert!(all.contains(expected), "{all}");
    }
    assert!(
        !all.contains("deploy.mode") && !all.contains("write to the same /var/run"),
        "{all}"
    );
}
