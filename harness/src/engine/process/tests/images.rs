//! Images and their names.

use bytes::Bytes;

use super::super::fixture::{Fixture, IMAGE, SCRIPT, image, service};
use crate::engine::label;

#[tokio::test]
async fn an_image_stays_while_it_has_a_name_or_a_container() {
    let fixture = Fixture::new().await;
    let changes = |digest: &str| vec!["USER 1:1".to_owned(), format!("LABEL {}={digest}", label::DIGEST)];
    let import = async |name: &str, digest: &str| {
        fixture
            .engine
            .import_image(name, image(SCRIPT), changes(digest))
            .await
            .unwrap();
        fixture.engine.image(name).await.unwrap().unwrap()
    };
    let first = import(IMAGE, "1").await;
    assert_eq!(first.labels[label::DIGEST], "1");
    assert!(first.size > 0);
    assert_eq!(import(IMAGE, "1").await, first);
    let id = fixture.create(&service("one", "")).await.unwrap();
    assert_eq!(fixture.engine.container(&id).await.unwrap().image_id, first.id);
    let second = import("fake:latest", "2").await;
    assert_ne!(first.id, second.id);
    assert_eq!(fixture.engine.image(IMAGE).await.unwrap().unwrap().id, second.id);
    fixture.engine.remove_outdated_images().await.unwrap();
    assert!(fixture.engine.image(&first.id).await.unwrap().is_some(), "in use");
    fixture.engine.remove(&id).await.unwrap();
    fixture.engine.remove_outdated_images().await.unwrap();
    assert!(fixture.engine.image(&first.id).await.unwrap().is_none());
    assert!(fixture.engine.image(&second.id).await.unwrap().is_some());
    assert!(fixture.engine.image("unknown").await.unwrap().is_none());
    assert!(
        fixture
            .engine
            .import_image("broken", Bytes::from("no tar"), Vec::new())
            .await
            .is_err()
    );
    assert!(fixture.engine.image("broken").await.unwrap().is_none());
}
