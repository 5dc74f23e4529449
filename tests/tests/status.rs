//! `harness status` as JSON and with `--watch`.

#![allow(
    clippy::unwrap_used,
    reason = "a failing helper fails its test, as an assertion does"
)]

use std::time::Duration;

use serde_json::Value;
use tests::{Mesh, end, on_each, signal};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

/// Timeout for a change to be printed.
const LIMIT: Duration = Duration::from_secs(60);

/// A `status --watch` and its output.
struct Watch {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    async fn start(mesh: &Mesh, arguments: &[&str]) -> Self {
        let arguments = [&["status", "--watch"], arguments].concat();
        let mut child = mesh.spawn(&arguments).await.unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Reads up to the first line for which `wanted` holds.
    async fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) {
        let mut read = Vec::new();
        let reading = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                let found = wanted(&line);
                read.push(line);
                if found {
                    return true;
                }
            }
            false
        };
        let found = tokio::time::timeout(LIMIT, reading).await;
        assert_eq!(found.ok(), Some(true), "no {what} in {read:#?}");
    }

    /// Ends it with Ctrl-C.
    async fn interrupt(mut self) {
        signal(&self.child, "INT").await.unwrap();
        assert_eq!(end(&mut self.child).await.unwrap().code(), Some(0));
    }
}

#[tokio::test]
async fn the_status_is_a_document_and_a_watch_prints_what_changes() {
    on_each(async |engine| {
        let mesh = Mesh::on(engine.clone()).await.unwrap();
        let up = mesh.harness(&["up", "--detach"]).await.unwrap();
        assert_eq!(up.code, Some(0), "{up:#?}");
        let status = mesh.until_status(0).await.unwrap();
        let wide: Vec<&str> = status
            .output
            .lines()
            .filter(|line| line.chars().count() > 80)
            .collect();
        assert!(wide.is_empty(), "{wide:#?}");

        let document = mesh.harness(&["status", "--json"]).await.unwrap().output;
        let document: Value = serde_json::from_str(&document).unwrap();
        assert_eq!(document["mesh"], mesh.project);
        assert_eq!(document["runtime"], engine.name());
        let of = |list: &str, key: &str| -> Vec<Value> {
            let list = document[list].as_array().unwrap();
            list.iter().map(|entry| entry[key].clone()).collect()
        };
        assert_eq!(
            of("nodes", "name"),
            ["frontend", "lb", "service-a", "service-a2", "service-b"]
        );
        assert_eq!(of("instances", "node"), ["service-a", "service-a2", "service-b"]);

        let paused = mesh.container("service-b").await.unwrap();
        let mut watch = Watch::start(&mesh, &[]).await;
        let mut documents = Watch::start(&mesh, &["--json"]).await;
        watch
            .until("first status", |line| line == "All sidecars see the same mesh.")
            .await;
        documents
            .until("first document", |line| line.contains(r#""complete":true"#))
            .await;
        engine.pause(&paused.id).await.unwrap();
        watch
            .until("pause", |line| line.ends_with(" service-b is paused"))
            .await;
        let paused_state = |line: &str| line.contains(r#""state":"paused""#);
        documents.until("document with the pause", paused_state).await;
        engine.unpause(&paused.id).await.unwrap();
        watch
            .until("return", |line| {
                line.ends_with(" All sidecars see the same mesh.")
            })
            .await;
        watch.interrupt().await;
        documents.interrupt().await;

        let mut watch = Watch::start(&mesh, &[]).await;
        watch
            .until("first status", |line| line.starts_with("Mesh `"))
            .await;
        let down = mesh.harness(&["down"]).await.unwrap();
        assert_eq!(down.code, Some(0), "{down:#?}");
        let ended = end(&mut watch.child).await.unwrap();
        assert_eq!(ended.code(), Some(2), "a mesh that is removed has no status");
    })
    .await
    .unwrap();
}
