use super::*;

/// The protocols of the waypoints' ports as `SERVICE:PORT/PROTOCOL`, without those of TCP.
fn protocols(text: &str) -> Vec<String> {
    let config = Config::read(&serde_saphyr::from_str(text).unwrap()).unwrap();
    let plan = Plan::new("shop", &config, &Facts::default()).unwrap();
    let of = |waypoint: &Waypoint| {
        let of = waypoint.protocols.iter();
        of.map(|(port, protocol)| format!("{}:{port}/{protocol}", waypoint.service))
            .collect::<Vec<_>>()
    };
    plan.waypoints.values().flat_map(of).collect()
}

#[test]
fn only_the_port_that_a_health_check_calls_is_http() {
    let text = "
services:
  web: {expose: ['80', '8080', '443']}
  api:
    expose: ['8000', '9000']
    healthcheck: {test: [CMD, curl, -f, 'http://localhost:8000/health']}
  secure:
    expose: ['8443']
    healthcheck: {test: [CMD, curl, -kf, 'https://localhost:8443/health']}
  off:
    expose: ['8000']
    healthcheck: {disable: true}
";
    assert_eq!(protocols(text), ["api:8000/http"]);
}

#[test]
fn the_check_of_an_image_counts_unless_the_file_has_another_one() {
    let text = "
services:
  api: {expose: ['80', '81']}
  timed: {expose: ['80'], healthcheck: {interval: 1s}}
  own: {expose: ['80'], healthcheck: {test: 'true'}}
  off: {expose: ['80'], healthcheck: {disable: true}}
";
    let config = Config::read(&serde_saphyr::from_str(text).unwrap()).unwrap();
    let checks = config.services.keys();
    let facts = Facts {
        image_checks: checks.map(|name| (name.clone(), BTreeSet::from([80]))).collect(),
        ..Facts::default()
    };
    let plan = Plan::new("shop", &config, &facts).unwrap();
    let http = BTreeMap::from([(80, AppProtocol::Http)]);
    for (service, expected) in [("api", true), ("timed", true), ("own", false), ("off", false)] {
        let protocols = &plan.waypoints[service].protocols;
        assert_eq!(*protocols == http, expected, "{service}: {protocols:?}");
    }
}

#[test]
fn the_file_says_what_a_published_port_carries() {
    let text = "
services:
  web:
    ports:
    - {target: 80, published: '80', app_protocol: http}
    - {target: 81, app_protocol: http2}
    - {target: 82, app_protocol: GRPC}
    - {target: 83, app_protocol: https}
    - {target: 84, app_protocol: redis}
    - {target: 85, name: http}
    - {target: 86, app_protocol: tcp}
    healthcheck: {test: [CMD-SHELL, 'curl localhost:85 localhost:86']}
  api: {expose: ['1']}
";
    let expected = ["web:80/http", "web:81/h2", "web:82/h2", "web:85/http"];
    assert_eq!(protocols(text), expected);
}

#[test]
fn a_setting_says_it_for_all_ports_or_for_single_ones() {
    let text = "
services:
  web: {expose: ['80', '81'], labels: {mesh.protocol: http}}
  some: {expose: ['80', '81'], labels: {mesh.protocol: '81/http/1.x, 82/h2'}}
  rest: {expose: ['80', '81'], labels: {mesh.protocol: 'http,81/tcp'}}
  not:
    expose: ['80']
    labels: {mesh.protocol: tcp}
    healthcheck: {test: [CMD, curl, localhost]}
  db: {image: couchdb, expose: ['5984'], labels: {mesh.protocol: http}}
";
    let expected = [
        "db:5984/http",
        "rest:80/http",
        "some:81/http/1.x",
        "some:82/h2",
        "web:80/http",
        "web:81/http",
    ];
    assert_eq!(protocols(text), expected);
}

/// Each port that is tested by HTTP must answer it.
#[test]
fn the_ports_of_a_service_that_is_tested_by_http_are_http() {
    let text = "
services:
  api: {expose: ['80', '81'], labels: {mesh.check: http /healthz}}
  web: {expose: ['80'], labels: {mesh.check: tcp}}
";
    assert_eq!(protocols(text), ["api:80/http", "api:81/http"]);
}

#[test]
fn a_database_is_not_http_unless_a_setting_says_so() {
    let text = "
services:
  search:
    image: elasticsearch:8
    ports: [{target: 9200, app_protocol: http}]
    labels: {mesh.check: http /}
    healthcheck: {test: [CMD-SHELL, 'curl -s http://localhost:9200/_cluster/health']}
  web: {expose: ['80']}
";
    assert!(protocols(text).is_empty());
}

/// Its ports are reached by the name of the service whose network namespace it is in.
#[test]
fn a_service_in_anothers_namespace_tells_its_own_ports() {
    let text = "
services:
  vpn: {image: gluetun, expose: ['8888']}
  app:
    network_mode: 'service:vpn'
    expose: ['8080', '8081']
    healthcheck: {test: [CMD, wget, --spider, 'http://127.0.0.1:8080']}
  web: {expose: ['80']}
";
    assert_eq!(protocols(text), ["vpn:8080/http"]);
}
