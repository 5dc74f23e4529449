use std::path::Path;
use std::time::Duration;

use super::*;

fn shipped() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/compose.yaml");
    std::fs::read_to_string(path).unwrap()
}

fn topology(text: &str) -> Result<Topology, TopologyError> {
    let file = ComposeFile::parse(Path::new("mesh.yaml"), text, &|_| None).unwrap();
    Topology::new("example", file)
}

#[test]
fn the_shipped_health_checks_leave_a_busy_machine_time_to_start_their_program() {
    let mesh = topology(&shipped()).unwrap();
    for member in &mesh.members {
        let check = member.service.healthcheck.as_ref().unwrap();
        assert!(
            check.timeout >= Duration::from_secs(30),
            "{}: {check:?}",
            member.name()
        );
        let own = check.test.iter().position(|word| word == "--timeout").unwrap();
        assert_eq!(
            check.test[own + 1],
            check.timeout.as_secs().to_string(),
            "the probe's own timeout"
        );
    }
}

#[test]
fn the_shipped_file_is_the_documented_topology() {
    let mesh = topology(&shipped()).unwrap();
    let rows: Vec<(&str, Vec<u16>)> = mesh
        .members
        .iter()
        .map(|member| {
            let ports = member
                .service
                .ports
                .iter()
                .filter_map(|port| port.host_port)
                .collect();
            (member.service.container_name.as_str(), ports)
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("example-frontend", vec![8080]),
            ("example-lb", vec![8081, 8082, 8083, 8084]),
            ("example-service-a-1", vec![]),
            ("example-service-a2-1", vec![]),
            ("example-service-b-1", vec![]),
        ]
    );
    assert_eq!(
        (mesh.image.as_str(), mesh.network_name().as_str()),
        ("service-mesh-example", "example_mesh")
    );
    let routes: Vec<String> = mesh.routes().iter().map(Route::name).collect();
    assert_eq!(
        routes,
        [
            "frontend:8080/service-a",
            "frontend:8080/service-a?via=lb",
            "frontend:8080/service-a?via=http",
            "frontend:8080/service-b",
            "frontend:8080/service-b?via=lb",
            "frontend:8080/service-b?via=http",
            "lb:8081/",
            "lb:8083/",
            "lb:8082/",
            "lb:8084/",
        ]
    );
}

#[test]
fn weights_are_added_to_the_command_line() {
    let mesh = topology(&shipped())
        .unwrap()
        .with_weights(&[("service-a", 15), ("frontend", 3)]);
    let member = mesh.member("service-a").unwrap();
    assert_eq!(
        member.role,
        Role::Service {
            name: "a".to_owned(),
            weight: 15
        }
    );
    assert!(
        member
            .service
            .command
            .ends_with(&["a".to_owned(), "--weight".to_owned(), "15".to_owned()])
    );
    assert_eq!(mesh.member("frontend").unwrap().role, Role::Frontend);
    assert!(
        !mesh
            .member("frontend")
            .unwrap()
            .service
            .command
            .contains(&"--weight".to_owned())
    );
}

#[test]
fn a_compose_file_that_does_not_describe_a_mesh_is_refused() {
    let shipped = shipped();
    for (from, to, expected) in [
        ("      - frontend\n", "      - backend\n", "`backend` after `--`"),
        (
            "      - frontend\n",
            "      - service\n      - c\n",
            "runs `frontend`",
        ),
        (
            "LB_A_PORT:-8081}:8081",
            "LB_A_PORT:-8081}:8085",
            "service a is not reachable through lb:",
        ),
        (
            "LB_B_HTTP_PORT:-8084}:8084",
            "LB_B_HTTP_PORT:-8084}:8085",
            "service b is not reachable through lb (http):",
        ),
        (
            "LB_B_PORT:-8082",
            "LB_B_PORT:-8080",
            "host port 8080 is given to both",
        ),
        (
            "}-lb",
            "}-frontend",
            "container name example-frontend is given to both",
        ),
        ("networks:\n  mesh: {}", "networks:\n  other: {}", "one network"),
        ("      - \"127.0.0.1::9090\"\n", "", "status port 9090"),
        (
            "      - --status\n",
            "      - --statos\n",
            "`--status ADDRESS:PORT`",
        ),
    ] {
        assert!(shipped.contains(from), "the shipped file no longer has {from:?}");
        let message = topology(&shipped.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(message.contains(expected), "{from:?} -> {to:?}: {message}");
    }
}

fn scales(all: &[&str]) -> Vec<Scale> {
    all.iter().map(|scale| scale.parse().unwrap()).collect()
}

#[test]
fn a_scaled_service_has_numbered_members() {
    let mesh = topology(&shipped())
        .unwrap()
        .scaled(&scales(&["service-a2=2", "service-b=1", "service-a2=3"]))
        .unwrap();
    let rows: Vec<(&str, &str)> = mesh
        .members
        .iter()
        .map(|member| (member.name(), member.service.container_name.as_str()))
        .collect();
    assert_eq!(
        rows[2..],
        [
            ("service-a", "example-service-a-1"),
            ("service-a2", "example-service-a2-1"),
            ("service-a2-2", "example-service-a2-2"),
            ("service-a2-3", "example-service-a2-3"),
            ("service-b", "example-service-b-1"),
        ]
    );
    assert!(
        mesh.members[3..6]
            .iter()
            .all(|member| member.service.name == "service-a2")
    );
    let other = mesh.with_project("other");
    let names = ["frontend", "service-a2-3"].map(|name| other.member(name).unwrap());
    let names = names.map(|member| member.service.container_name.as_str());
    assert_eq!(names, ["other-frontend", "other-service-a2-3"]);
}

#[test]
fn a_scale_is_a_service_and_a_number() {
    let expected = Scale {
        service: "service-a2".to_owned(),
        count: 3,
    };
    assert_eq!("service-a2=3".parse(), Ok(expected));
    for wrong in [
        "service-a2",
        "service-a2=",
        "service-a2=0",
        "service-a2=101",
        "service-a2=x",
        "3",
    ] {
        let error = wrong.parse::<Scale>().unwrap_err();
        assert!(error.contains("SERVICE=NUMBER"), "{wrong}: {error}");
    }
}

#[test]
fn a_service_that_cannot_be_scaled_is_refused_with_those_that_can() {
    let named = shipped().replace("${FRONTEND_PORT:-8080}", "0");
    for (file, scale, why) in [
        (
            shipped(),
            "service-c=2",
            "the Compose file has no service `service-c`",
        ),
        (
            shipped(),
            "lb=2",
            "`lb` cannot have several containers: it publishes the host's port 8081",
        ),
        (
            named,
            "frontend=2",
            "its container is always named example-frontend",
        ),
    ] {
        let error = topology(&file).unwrap().scaled(&scales(&[scale])).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(why), "{message}");
        assert!(
            message.ends_with("scale one of service-a, service-a2, service-b"),
            "{message}"
        );
    }
}
