//! Reading and following logs.

use futures_util::StreamExt;

use super::super::fixture::{Fixture, GRACE};
use crate::engine::{EngineError, LogOptions};

#[tokio::test]
async fn a_log_is_followed_until_the_container_stops() {
    let fixture = Fixture::new().await;
    let id = fixture.running("one", "x").await;
    let follow = fixture
        .engine
        .logs(
            &id,
            LogOptions {
                follow: true,
                ..LogOptions::last(1)
            },
        )
        .map(|line| line.unwrap().text);
    let mut follow = std::pin::pin!(follow);
    assert_eq!(follow.next().await.as_deref(), Some("ready"));
    let dated = fixture
        .engine
        .logs(
            &id,
            LogOptions {
                follow: true,
                timestamps: true,
                tail: None,
            },
        )
        .map(|line| line.unwrap().text);
    let stop = fixture.engine.stop(&id, GRACE);
    let (followed, dated, code) = tokio::join!(follow.collect::<Vec<_>>(), dated.collect::<Vec<_>>(), stop);
    assert_eq!(code.unwrap(), 3);
    assert_eq!(followed, ["stopping"]);
    let texts: Vec<&str> = dated
        .iter()
        .map(|line| line.split_once("Z ").unwrap().1)
        .collect();
    assert_eq!(texts, ["began x", "ready", "stopping"]);
    assert!(dated.iter().all(|line| line.find('Z') == Some(29)), "{dated:?}");
    let gone = fixture
        .engine
        .logs("0", LogOptions::default())
        .collect::<Vec<_>>()
        .await;
    assert!(matches!(gone[..], [Err(EngineError::Missing { .. })]), "{gone:?}");
}
