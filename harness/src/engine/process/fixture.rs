//! A process engine for tests, with an image whose sidecar is a shell script.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use super::super::{Container, ContainerSpec, Engine, EngineError, label};
use super::{Processes, tree};
use crate::compose::{PublishedPort, Service};
use crate::wait;

pub(super) const IMAGE: &str = "fake";
pub(crate) const GRACE: Duration = Duration::from_secs(20);
/// Starts a process in its own session, and an orphaned process.
pub(super) const SCRIPT: &str = r#"#!/bin/sh
echo "began $*"
case "$1" in
    --end-with-stdin) read line; echo "got $line"; read line; exit 5;;
    exit) exit "$2";;
    stubborn) trap '' TERM;;
    *) trap 'echo stopping; exit 3' TERM;;
esac
/usr/bin/setsid /bin/sleep 1000 &
(/bin/sleep 1000 &)
echo ready
while :; do wait; /bin/sleep 0.01; done
"#;

/// An engine with an image and a network.
pub(crate) struct Fixture {
    /// The engine's state directory, removed with the fixture.
    pub(super) directory: tempfile::TempDir,
    pub(crate) engine: Processes,
    pub(super) network: String,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let engine = open(directory.path());
        engine
            .import_image(IMAGE, image(SCRIPT), Vec::new())
            .await
            .unwrap();
        let network = engine.create_network("net", &BTreeMap::new()).await.unwrap();
        Self {
            directory,
            engine,
            network,
        }
    }

    /// Creates a container with its name as the label `of`.
    pub(super) async fn create(&self, service: &Service) -> Result<String, EngineError> {
        self.create_with(service, "of", &service.name).await
    }

    /// Creates a container that belongs to a run.
    pub(crate) async fn create_for(&self, run: &str, service: &Service) -> String {
        self.create_with(service, label::RUN, run).await.unwrap()
    }

    async fn create_with(&self, service: &Service, key: &str, value: &str) -> Result<String, EngineError> {
        let spec = ContainerSpec {
            service: service.clone(),
            network: self.network.clone(),
            labels: BTreeMap::from([(key.to_owned(), value.to_owned())]),
            lifeline: false,
        };
        self.engine.create(spec).await
    }

    /// A container that has written `ready`.
    pub(super) async fn running(&self, name: &str, command: &str) -> String {
        let id = self.create(&service(name, command)).await.unwrap();
        self.engine.start(&id, name).await.unwrap();
        self.said(&id, "ready", 1).await;
        self.settled(&id).await;
        id
    }

    /// Waits until the processes that [`SCRIPT`] starts execute their programs: before that they have the sidecar's
    /// name, and for a moment no mark.
    pub(crate) async fn settled(&self, id: &str) {
        let attempt = async || {
            let used = self.engine.processes(id).await.unwrap();
            let count = |program: &str| used.iter().filter(|process| process.program == program).count();
            if count("sidecar") == 1
                && count("sleep") == 2
                && used.iter().all(|process| process.resident_kib > 0)
            {
                Ok(())
            } else {
                Err(vec![format!(
                    "one sidecar and two sleeps expected, found {used:?}"
                )])
            }
        };
        wait::until(GRACE, Duration::from_millis(5), attempt, |_| {})
            .await
            .unwrap();
    }

    /// Waits until a container has written a line `times` times.
    pub(crate) async fn said(&self, id: &str, line: &str, times: usize) {
        let attempt = async || {
            let lines = self.last_lines(id, 100).await;
            let count = lines.iter().filter(|said| *said == line).count();
            if count == times { Ok(()) } else { Err(lines) }
        };
        wait::until(GRACE, Duration::from_millis(5), attempt, |_| {})
            .await
            .unwrap();
    }

    pub(super) async fn last_lines(&self, id: &str, count: usize) -> Vec<String> {
        Engine::Process(self.engine.clone()).last_lines(id, count).await
    }

    pub(super) async fn ended(&self, id: &str) -> Container {
        let attempt = async || {
            let container = self.engine.container(id).await.unwrap();
            if container.state == "exited" && container.status.contains('(') {
                Ok(container)
            } else {
                Err(vec![container.status])
            }
        };
        wait::until(GRACE, Duration::from_millis(5), attempt, |_| {})
            .await
            .unwrap()
    }

    pub(super) async fn state(&self, id: &str) -> String {
        self.engine.container(id).await.unwrap().state
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let records = self.engine.core.records().unwrap_or_default();
        let marks: Vec<String> = records.into_iter().map(|(id, _)| id).collect();
        // Repeated, because a process that was just being spawned is found only later.
        for _ in 0..1000 {
            let left = tree::marked(&marks);
            if left.is_empty() {
                break;
            }
            left.iter()
                .for_each(|process| process.signal(rustix::process::Signal::KILL));
            std::thread::yield_now();
        }
    }
}

pub(super) fn open(directory: &Path) -> Processes {
    Processes::open_in(directory.join("state")).unwrap()
}

pub(super) fn image(script: &str) -> Bytes {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, mode, content) in [
        ("bin/sidecar", 0o755, script),
        ("etc/sidecar/lb.conf", 0o644, "address 0.0.0.0:8081\n"),
        ("etc/sidecar/discovery.conf", 0o644, "discovery.nic = eth0\n"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        archive
            .append_data(&mut header, path, content.as_bytes())
            .unwrap();
    }
    archive.into_inner().unwrap().into()
}

/// A container whose sidecar is [`SCRIPT`], given the words of `command`.
pub(crate) fn service(name: &str, command: &str) -> Service {
    Service {
        name: name.to_owned(),
        container_name: name.to_owned(),
        image: IMAGE.to_owned(),
        command: command.split_whitespace().map(str::to_owned).collect(),
        ports: vec![PublishedPort {
            host_ip: Ipv4Addr::LOCALHOST,
            host_port: None,
            container_port: 9090,
        }],
        stop_grace_period: GRACE,
        ..Service::default()
    }
}
