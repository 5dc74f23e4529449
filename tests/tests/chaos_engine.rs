//! `harness chaos` on an engine that fails single calls.

#![allow(
    clippy::unwrap_used,
    reason = "a failing helper fails its test, as an assertion does"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tests::Mesh;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

const FAILURE: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json\r\n\
    content-length: 30\r\n\r\n{\"message\":\"unable to freeze\"}";

/// A proxy of the engine's socket that fails the first call of each operation.
#[derive(Debug)]
struct FailingEngine {
    /// The operations that fail at the next call. Those of the mesh's own start are armed by the first failure.
    armed: Mutex<BTreeSet<&'static str>>,
}

impl FailingEngine {
    /// Serves `socket` until the test ends.
    fn serve(socket: &Path, engine: PathBuf) -> Arc<Self> {
        let listener = UnixListener::bind(socket).unwrap();
        let armed = Mutex::new(BTreeSet::from(["pause"]));
        let this = Arc::new(Self { armed });
        let served = Arc::clone(&this);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&served).relay(client, engine.clone()));
            }
        });
        this
    }

    async fn relay(self: Arc<Self>, client: UnixStream, engine: PathBuf) {
        let (mut requests, responses) = client.into_split();
        let (mut from_engine, mut to_engine) = UnixStream::connect(engine).await.unwrap().into_split();
        let responses = Arc::new(tokio::sync::Mutex::new(responses));
        let answers = Arc::clone(&responses);
        tokio::spawn(async move {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(length @ 1..) = from_engine.read(&mut buffer).await {
                if answers.lock().await.write_all(&buffer[..length]).await.is_err() {
                    return;
                }
            }
            let _ = answers.lock().await.shutdown().await;
        });
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = requests.read(&mut buffer).await {
            if self.fails(&buffer[..length]) {
                let _ = responses.lock().await.write_all(FAILURE).await;
            } else if to_engine.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
        let _ = to_engine.shutdown().await;
    }

    /// Whether these bytes are a request that is to fail. A request begins a read, because clients wait for the answer.
    fn fails(&self, bytes: &[u8]) -> bool {
        let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let Some(path) = line
            .strip_prefix("POST ")
            .and_then(|rest| rest.split([' ', '?']).next())
        else {
            return false;
        };
        let operation = path.rsplit('/').next().unwrap_or_default();
        let mut armed = self.armed.lock().unwrap();
        let fails = armed.remove(operation);
        if fails && operation == "pause" {
            armed.extend(["unpause", "kill", "start", "stop"]);
        }
        fails
    }
}

#[tokio::test]
async fn a_call_that_fails_once_is_repeated_and_reported() {
    let Some(mesh) = Mesh::on_docker().await.unwrap() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    let engine = host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock");
    let socket = directory.path().join("docker.sock");
    let failing = FailingEngine::serve(&socket, engine.into());

    let schedule = directory.path().join("schedule.json");
    let text = r#"{"version": 1, "seed": 0, "duration_ms": 9000,
        "members": {"frontend": null, "lb": null, "service-a": "a", "service-a2": "a", "service-b": "b"},
        "steps": [
            {"at_ms": 500, "fault": {"pause": {"member": "lb"}}, "heal_after_ms": 500},
            {"at_ms": 3000, "fault": {"kill": {"member": "service-a2"}}, "heal_after_ms": 500},
            {"at_ms": 6000, "fault": {"cut-node": {"member": "service-b"}}, "heal_after_ms": 500}
        ]}"#;
    std::fs::write(&schedule, text).unwrap();
    let mesh = mesh
        .named_by_variable()
        .with("DOCKER_HOST", &format!("unix://{}", socket.display()));
    let chaos = mesh
        .harness(&["chaos", "--no-shrink", "--replay", schedule.to_str().unwrap()])
        .await
        .unwrap();
    assert_eq!(chaos.code, Some(0), "{chaos:#?}");
    assert_eq!(
        *failing.armed.lock().unwrap(),
        BTreeSet::new(),
        "operations that were not called: {chaos:#?}"
    );
    let report = "The engine failed 5 calls, which then succeeded";
    assert!(chaos.output.contains(report), "{chaos:#?}");
    for operation in ["pausing", "unpausing", "killing", "starting", "stopping"] {
        let line = format!("repeated, because it failed once: {operation} container");
        assert!(chaos.errors.contains(&line), "{operation}: {chaos:#?}");
    }
}
