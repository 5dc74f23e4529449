//! Images and their names.

use bytes::Bytes;

use super::super::bench::{Bench, IMAGE, SCRIPT, image, service};
use crate::runtime::label;

#[tokio::test]
async fn an_image_stays_while_it_has_a_name_or_a_container() {
    let bench = Bench::new().await;
    let changes = |digest: &str| vec!["USER 1:1".to_owned(), format!("LABEL {}={digest}", label::DIGEST)];
    let import = async |name: &str, digest: &str| {
        bench
            .engine
            .import_image(name, image(SCRIPT), changes(digest))
            .await
            .unwrap();
        bench.engine.image(name).await.unwrap().unwrap()
    };
    let first = import(IMAGE, "1").await;
    assert_eq!(first.labels[label::DIGEST], "1");
    assert!(first.size > 0);
    assert_eq!(import(IMAGE, "1").await, first);
    let id = bench.create(&service("one", "")).await.unwrap();
    assert_eq!(bench.engine.container(&id).await.unwrap().image_id, first.id);
    let second = import("fake:latest", "2").await;
    assert_ne!(first.id, second.id);
    assert_eq!(bench.engine.image(IMAGE).await.unwrap().unwrap().id, second.id);
    bench.engine.remove_outdated_images().await.unwrap();
    assert!(bench.engine.image(&first.id).await.unwrap().is_some(), "in use");
    bench.engine.remove(&id).await.unwrap();
    bench.engine.remove_outdated_images().await.unwrap();
    assert!(bench.engine.image(&first.id).await.unwrap().is_none());
    assert!(bench.engine.image(&second.id).await.unwrap().is_some());
    assert!(bench.engine.image("unknown").await.unwrap().is_none());
    assert!(
        bench
            .engine
            .import_image("broken", Bytes::from("no tar"), Vec::new())
            .await
            .is_err()
    );
    assert!(bench.engine.image("broken").await.unwrap().is_none());
}
