//! Creating a container, and the preconditions of its start.

use std::net::{Ipv4Addr, TcpListener};

use futures_util::future::join_all;

use super::super::fixture::{Fixture, open, service};
use crate::compose::Service;
use crate::engine::EngineError;

#[tokio::test]
async fn a_container_needs_a_free_name_an_image_and_a_network() {
    let fixture = Fixture::new().await;
    let other = Fixture {
        directory: tempfile::tempdir().unwrap(),
        engine: open(fixture.directory.path()),
        network: fixture.network.clone(),
    };
    let one = service("one", "");
    let made = join_all(
        (0..8)
            .map(|n| if n % 2 == 0 { &fixture } else { &other })
            .map(|fixture| fixture.create(&one)),
    );
    let (made, refused): (Vec<_>, Vec<_>) = made.await.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    for error in refused {
        assert!(
            matches!(error, Err(EngineError::NameTaken { ref name }) if name == "one"),
            "{error:?}"
        );
    }
    let without_image = Service {
        image: "unknown".to_owned(),
        ..service("two", "")
    };
    let error = fixture.create(&without_image).await.unwrap_err();
    assert!(error.to_string().contains("no image unknown"), "{error}");
    assert!(
        fixture.engine.remove_network(&fixture.network).await.is_err(),
        "a container is attached"
    );
    fixture.engine.remove(made[0].as_ref().unwrap()).await.unwrap();
    fixture.engine.remove_network(&fixture.network).await.unwrap();
    fixture.engine.remove_network(&fixture.network).await.unwrap();
    let error = fixture.create(&one).await.unwrap_err();
    assert!(error.to_string().contains("no network"), "{error}");
    for id in ["", "..", "../images"] {
        assert!(
            matches!(
                fixture.engine.container(id).await,
                Err(EngineError::Missing { .. })
            ),
            "{id}"
        );
    }
}

#[tokio::test]
async fn a_container_whose_fixed_host_port_is_taken_does_not_start() {
    let fixture = Fixture::new().await;
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let bound = holder.local_addr().unwrap();
    let mut fixed = service("one", "");
    fixed.ports[0].host_port = Some(bound.port());
    let id = fixture.create(&fixed).await.unwrap();
    let error = fixture.engine.start(&id, "one").await.unwrap_err();
    assert!(
        matches!(error, EngineError::PortTaken { ref container, .. } if container == "one"),
        "{error:?}"
    );
    assert_eq!(fixture.state(&id).await, "created");
    drop(holder);
    fixture.engine.start(&id, "one").await.unwrap();
    assert_eq!(
        fixture.engine.container(&id).await.unwrap().endpoint(9090),
        Some(bound)
    );
}
