use serde_json::{Value, json};

use super::*;

fn role(name: &str) -> Role {
    match name {
        "frontend" => Role::Frontend,
        "lb" => Role::LoadBalancer,
        other => Role::Service {
            name: other[8..9].to_owned(),
            weight: 10,
        },
    }
}

const NAMES: [&str; 5] = ["frontend", "lb", "service-a", "service-a2", "service-b"];

/// The view of every sidecar of a healthy mesh, as the status listener reports it.
fn mesh() -> Value {
    let nodes: Vec<Value> = (0..5)
        .map(|i| {
            json!({"nodeName": format!("host{i}"), "address": format!("10.0.0.{i}"), "udpPort": 31000,
                        "tcpPort": 31000, "health": "UP", "self": i == 0})
        })
        .collect();
    let instance = |i: usize| {
        json!({"nodeName": format!("host{i}"), "address": format!("10.0.0.{i}"), "port": 20000 + i, "weight": 10,
               "state": "UP"})
    };
    let server = |i: usize| {
        json!({"name": "x", "address": format!("10.0.0.{i}:{}", 20000 + i), "weight": 10, "state": "UP",
               "learned": true})
    };
    json!({
        "node": {"nodeName": "host0", "address": "10.0.0.0", "udpPort": 31000, "tcpPort": 31000},
        "hash": "h",
        "nodes": nodes,
        "services": [
            {"service": "my-service-a", "zone": "example", "instances": [instance(2), instance(3)]},
            {"service": "my-service-b", "zone": "example", "instances": [instance(4)]},
        ],
        "groups": [
            {"name": "a.my.service.com:80", "method": "wrr", "servers": [server(2), server(3)]},
            {"name": "b.my.service.com:80", "method": "wrr", "servers": [server(4)]},
        ],
        "registrations": [],
    })
}

fn nodes_with(views: impl Fn(usize) -> Value) -> Vec<NodeView> {
    let one = |(i, name): (usize, &&str)| NodeView {
        name: (*name).to_owned(),
        host: format!("host{i}"),
        role: role(name),
        view: serde_json::from_value(views(i)).map_err(|error| error.to_string()),
    };
    NAMES.iter().enumerate().map(one).collect()
}

/// The disagreements after the frontend's view is changed at `pointer`.
fn changed(pointer: &str, change: impl Fn(&mut Value)) -> Vec<String> {
    let mut view = mesh();
    change(view.pointer_mut(pointer).unwrap());
    disagreements(&nodes_with(|i| if i == 0 { view.clone() } else { mesh() }), &[])
}

#[test]
fn equal_and_complete_views_agree() {
    assert_eq!(disagreements(&nodes_with(|_| mesh()), &[]), Vec::<String>::new());
}

#[test]
fn each_difference_is_named() {
    let pop = |value: &mut Value| drop(value.as_array_mut().unwrap().pop());
    assert_eq!(
        changed("/services/0/instances", pop),
        [
            "frontend sees no instance of service a on service-a2",
            "frontend uses 10.0.0.3:20003 in group a.my.service.com:80, which is no instance"
        ]
    );
    assert_eq!(
        changed("/groups/0/servers", pop),
        ["frontend leaves service-a2 out of group a.my.service.com:80"]
    );
    assert_eq!(
        changed("/groups", pop),
        ["frontend has no server group b.my.service.com:80"]
    );
    assert_eq!(changed("/nodes", pop), ["frontend lacks service-b"]);
    assert_eq!(
        changed("/nodes/1/health", |health| *health = json!("DOWN")),
        ["frontend reports lb as DOWN"]
    );
    assert_eq!(
        changed("/services/1/instances/0/weight", |weight| *weight = json!(7)),
        [
            "frontend reports weight 7 instead of 10 for service-b",
            "frontend uses service-b with weight 10 in group b.my.service.com:80",
        ]
    );
    assert_eq!(
        changed("/services/1/instances/0/state", |state| *state = json!("DOWN")),
        ["frontend reports service b on service-b as DOWN"]
    );
}

#[test]
fn sidecars_that_differ_in_the_same_share_a_line() {
    let without_last = |which: &'static [usize]| {
        nodes_with(move |i| {
            let mut view = mesh();
            if which.contains(&i) {
                view["nodes"].as_array_mut().unwrap().pop();
                view["services"].as_array_mut().unwrap().pop();
                view["groups"][1]["servers"] = json!([]);
            }
            view
        })
    };
    assert_eq!(
        disagreements(&without_last(&[0, 2]), &[]),
        ["each of frontend, service-a lacks service-b"]
    );
    assert_eq!(
        disagreements(&without_last(&[0, 1, 2, 3, 4]), &[]),
        ["every sidecar lacks service-b"]
    );
}

#[test]
fn nodes_and_instances_that_do_not_exist_are_disagreements_unless_down() {
    let gone = |health| json!({"nodeName": "gone", "address": "10.0.0.9", "health": health});
    assert_eq!(
        changed("/nodes", |nodes| nodes.as_array_mut().unwrap().push(gone("UP"))),
        ["frontend reports gone at 10.0.0.9 as UP, which does not exist"]
    );
    assert!(changed("/nodes", |nodes| nodes.as_array_mut().unwrap().push(gone("DOWN"))).is_empty());

    let instance = json!({"nodeName": "gone", "address": "10.0.0.9", "port": 1, "weight": 10, "state": "UP"});
    let complaints = changed("/services/1/instances", |list| {
        list.as_array_mut().unwrap().push(instance.clone());
    });
    let expected = "frontend sees an instance of service b on gone, which does not exist";
    assert!(complaints.contains(&expected.to_owned()), "{complaints:#?}");

    let service = json!({"service": "my-service-c", "zone": "example", "instances": [instance]});
    assert_eq!(
        changed("/services", |list| list
            .as_array_mut()
            .unwrap()
            .push(service.clone())),
        ["frontend sees service my-service-c, which no node offers"]
    );
}

#[test]
fn a_missing_view_and_different_hashes_are_disagreements() {
    let mut all = nodes_with(|_| mesh());
    all[1].view = Err("connection refused".to_owned());
    assert_eq!(
        disagreements(&all, &[]),
        ["lb gives no answer: connection refused"]
    );

    let two_hashes = nodes_with(|i| {
        let mut view = mesh();
        view["hash"] = json!(format!("h{}", i / 4));
        view
    });
    let complaints = disagreements(&two_hashes, &[]);
    assert_eq!(
        complaints,
        ["the sidecars know the same nodes but report 2 different hashes of them"]
    );
}

/// A view with a foreign node, which offers service a and an additional service.
fn with_foreign_node() -> Value {
    let mut view = mesh();
    let instance =
        json!({"nodeName": "more", "address": "10.0.0.9", "port": 20009, "weight": 10, "state": "UP"});
    let push = |view: &mut Value, pointer: &str, value: Value| {
        view.pointer_mut(pointer)
            .unwrap()
            .as_array_mut()
            .unwrap()
            .push(value);
    };
    push(
        &mut view,
        "/nodes",
        json!({"nodeName": "more", "address": "10.0.0.9", "health": "UP"}),
    );
    push(&mut view, "/services/0/instances", instance.clone());
    push(
        &mut view,
        "/services",
        json!({"service": "my-service-c", "instances": [instance]}),
    );
    push(
        &mut view,
        "/groups/0/servers",
        json!({"address": "10.0.0.9:20009", "weight": 10, "state": "UP"}),
    );
    view
}

#[test]
fn a_foreign_node_that_all_views_agree_on_is_not_a_disagreement() {
    let all = nodes_with(|_| with_foreign_node());
    let found = foreign_nodes(&all);
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["more at 10.0.0.9, offers services a, c"]);
    assert_eq!(disagreements(&all, &found), Vec::<String>::new());
    // Without the foreign node in the expectation, it is one.
    assert!(
        disagreements(&all, &[])
            .contains(&"every sidecar reports more at 10.0.0.9 as UP, which does not exist".to_owned())
    );
    assert_eq!(foreign_nodes(&nodes_with(|_| mesh())), []);
}

#[test]
fn a_foreign_node_that_the_views_differ_on_is_a_disagreement() {
    let changes: [(&str, Value); 5] = [
        ("/nodes/5/health", json!("DOWN")),
        ("/nodes/5/address", json!("10.0.0.8")),
        ("/services/0/instances/2/state", json!("DOWN")),
        ("/services/0/instances/2/weight", json!(3)),
        ("/services/0/instances/2/nodeName", json!("host0")),
    ];
    for (pointer, value) in changes {
        let all = nodes_with(|i| {
            let mut view = with_foreign_node();
            if i == 4 {
                *view.pointer_mut(pointer).unwrap() = value.clone();
            }
            view
        });
        assert_eq!(foreign_nodes(&all), [], "{pointer}");
        assert!(!disagreements(&all, &foreign_nodes(&all)).is_empty(), "{pointer}");
    }
    let unknown_to_one = nodes_with(|i| if i == 4 { mesh() } else { with_foreign_node() });
    assert_eq!(foreign_nodes(&unknown_to_one), []);
}
