use serde_json::json;

use super::*;

fn labelled(label: &str, value: &str) -> Result<Settings, String> {
    let labels = BTreeMap::from([(label.to_owned(), value.to_owned())]);
    Settings::default().of(&Service {
        labels,
        ..Service::default()
    })
}

fn extended(x_mesh: Value) -> Result<Settings, String> {
    Settings::default().of(&Service {
        x_mesh,
        ..Service::default()
    })
}

#[test]
fn each_label_sets_its_setting() {
    assert!(labelled("mesh.waypoint", "none").unwrap().no_waypoint);
    assert_eq!(
        labelled("mesh.ports", "80, 443").unwrap().ports,
        BTreeSet::from([80, 443])
    );
    let path = Check::Http("/healthz".to_owned());
    assert_eq!(labelled("mesh.check", "http /healthz").unwrap().check, Some(path));
    assert_eq!(labelled("mesh.hold", "0").unwrap().hold, Some(0));
    let none = Calls::These(BTreeSet::new());
    assert_eq!(labelled("mesh.calls", "none").unwrap().calls, none);
    assert!(labelled("mesh.publish", "waypoint").unwrap().publish);
    assert!(labelled("mesh.move-labels", "proxy").unwrap().move_labels);
    assert_eq!(
        labelled("traefik.enable", "whatever").unwrap(),
        Settings::default()
    );
}

#[test]
fn x_mesh_says_the_same_with_numbers_and_lists() {
    let read = extended(json!({"protocol": ["http/1.x", "443/tcp"]})).unwrap();
    assert_eq!(read.protocol, Some(AppProtocol::Http1));
    assert_eq!(read.protocols, BTreeMap::from([(443, AppProtocol::Tcp)]));
    let read = extended(json!({"ports": [80, "443"], "hold": 500, "calls": ["api", "db"]})).unwrap();
    assert_eq!(read.ports, BTreeSet::from([80, 443]));
    assert_eq!(read.hold, Some(500));
    let called = ["api", "db"].map(str::to_owned);
    assert_eq!(read.calls, Calls::These(called.into()));
    assert_eq!(extended(Value::Null).unwrap(), Settings::default());
}

#[test]
fn the_projects_x_mesh_holds_until_a_service_says_otherwise() {
    let common = Settings::common(&json!({"waypoint": "none", "hold": 1})).unwrap();
    let service = Service {
        x_mesh: json!({"waypoint": "auto"}),
        ..Service::default()
    };
    let read = common.of(&service).unwrap();
    assert!(!read.no_waypoint);
    assert_eq!(read.hold, Some(1));
    let error = Settings::common(&json!({"ports": 80})).unwrap_err();
    assert_eq!(error, "x-mesh.ports: expected in the x-mesh of a service");
}

#[test]
fn a_wrong_setting_is_named_with_what_is_expected() {
    for (label, value, expected) in [
        (
            "mesh.check",
            "http healthz",
            "label mesh.check: `http healthz`: expected tcp, passive",
        ),
        ("mesh.ports", "0", "ports separated by commas"),
        ("mesh.protocol", "https", "tcp, http, http/1.x or h2, or ports"),
        (
            "mesh.protocol",
            "80/http,80/tcp",
            "`80/http,80/tcp`: expected tcp",
        ),
        ("mesh.protocol", "0/http", "such as 8080/http"),
        ("mesh.hold", "10s", "a time in milliseconds"),
        ("mesh.waypoint", "off", "expected none or auto"),
        (
            "mesh.hodl",
            "1",
            "label mesh.hodl: there is no such setting; label mesh.hold is the nearest",
        ),
        (
            "mesh.frobnicate",
            "1",
            "no such setting; there are balance, calls",
        ),
    ] {
        let error = labelled(label, value).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    for (x_mesh, expected) in [
        (json!([1]), "x-mesh: expected a map, found [1]"),
        (
            json!({"hold": {"a": 1}}),
            "x-mesh.hold: expected a text, a number or a list",
        ),
        (
            json!({"hold": true}),
            "x-mesh.hold: `true`: expected a time in milliseconds",
        ),
        (
            json!({"port": 80}),
            "x-mesh.port: there is no such setting; x-mesh.ports is the nearest",
        ),
        (json!({"on": 80}), "x-mesh.on: there is no such setting"),
    ] {
        let error = extended(x_mesh).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let twice = Service {
        x_mesh: json!({"hold": 1}),
        labels: BTreeMap::from([("mesh.hold".to_owned(), "2".to_owned())]),
        ..Service::default()
    };
    let error = Settings::default().of(&twice).unwrap_err();
    assert_eq!(error, "label mesh.hold and x-mesh.hold: expected one of them");
}
