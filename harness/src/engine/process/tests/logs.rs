//! What containers wrote.

use futures_util::StreamExt;

use super::super::fixture::{Fixture, GRACE};
use crate::engine::EngineError;
use crate::engine::logs::Logs;

#[tokio::test]
async fn a_log_is_followed_to_the_end() {
    let fixture = Fixture::new().await;
    let id = fixture.running("one", "x").await;
    let follow = fixture
        .engine
        .logs(&id, Some(1), true)
        .map(|line| line.unwrap().text);
    let mut follow = std::pin::pin!(follow);
    assert_eq!(follow.next().await.as_deref(), Some("ready"));
    let dated = fixture
        .engine
        .dated_logs(&id, None, true)
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
    let gone = fixture.engine.logs("0", None, false).collect::<Vec<_>>().await;
    assert!(matches!(gone[..], [Err(EngineError::Missing { .. })]), "{gone:?}");
}
