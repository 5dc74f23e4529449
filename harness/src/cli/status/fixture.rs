//! A status for tests: a mesh with a node that does not answer and one without a container.

use harness::cluster::convergence::ForeignNode;
use harness::cluster::status::{InstanceStatus, MeshStatus, NodeStatus, State};

pub(super) fn example() -> MeshStatus {
    let node = |name: &str, id: &str, last: u8, state, reason: Option<&str>| NodeStatus {
        name: name.to_owned(),
        id: Some(id.to_owned()),
        state,
        reason: reason.map(str::to_owned),
        address: Some([172, 18, 0, last].into()),
        status_page: Some(([127, 0, 0, 1], 49151 + u16::from(last)).into()),
        hash: reason.is_none().then(|| "h".to_owned()),
    };
    MeshStatus {
        mesh: "example".to_owned(),
        runtime: "docker".to_owned(),
        nodes: vec![
            node("lb", "6e809c34621a", 2, State::Ready, None),
            node(
                "service-a",
                "208955b57fbc",
                3,
                State::NoAnswer,
                Some("connection refused"),
            ),
            NodeStatus {
                id: None,
                address: None,
                status_page: None,
                hash: None,
                ..node("service-b", "", 0, State::Missing, None)
            },
        ],
        instances: vec![InstanceStatus {
            service: "a".to_owned(),
            node: "service-a".to_owned(),
            address: ([172, 18, 0, 3], 27247).into(),
            weight: 10,
            up_for: vec!["lb".to_owned()],
            down_for: Vec::new(),
        }],
        foreign: vec![ForeignNode {
            name: "more".to_owned(),
            address: [172, 18, 0, 9].into(),
            offers: ["c".to_owned()].into(),
        }],
        problems: vec![
            "service-b has no container".to_owned(),
            "service-a gives no answer: connection refused".to_owned(),
        ],
    }
}
