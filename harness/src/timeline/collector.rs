//! The collecting tasks: one follows the engine's events; one for each container follows its log and its sidecar's
//! view.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::lifecycle::Lifecycle;
use super::{Entry, EntryKind, SharedLog, view_diff};
use crate::cluster::mesh_view::{self, View};
use crate::cluster::topology::Topology;
use crate::engine::{Action, Container, Engine, EngineError, Event, LogOptions, label};

/// Delay before retrying a request that the engine failed.
const RETRY: Duration = Duration::from_secs(1);
/// Polling interval of a sidecar's view.
const VIEW_PERIOD: Duration = Duration::from_millis(100);
/// Timeout for a sidecar's view.
const VIEW_LIMIT: Duration = Duration::from_secs(1);
/// Timeout for reading a container's whole log.
const LOG_LIMIT: Duration = Duration::from_secs(5);

/// The status port of each member's sidecar.
#[derive(Debug, Clone)]
pub(super) struct StatusPorts {
    known: BTreeMap<String, u16>,
}

impl StatusPorts {
    pub(super) fn of(topology: &Topology) -> Self {
        let members = topology.members.iter();
        Self {
            known: members
                .map(|member| (member.name().to_owned(), member.status_port))
                .collect(),
        }
    }

    /// The address of a sidecar's status listener. Members added after the start use the same port as the others.
    fn endpoint(&self, container: &Container) -> Option<SocketAddr> {
        let name = container.label(label::SERVICE);
        let port = self.known.get(name).or_else(|| self.known.values().next())?;
        container.endpoint(*port)
    }
}

/// Collects from all containers of a run, including those created later. Never returns.
pub(super) async fn collect(engine: Engine, run: String, ports: StatusPorts, log: SharedLog) {
    let filter = format!("{}={run}", label::RUN);
    let mut collector = Collector {
        engine: engine.clone(),
        ports,
        log,
        lifecycles: BTreeMap::new(),
        tasks: JoinSet::new(),
    };
    loop {
        // Subscribes before listing, so that no event is missed in between.
        let mut events = engine.events(&run);
        if let Ok(listed) = engine.containers(&filter).await {
            collector.reconcile(&listed);
        }
        let lost = loop {
            match events.next().await {
                Some(Ok(event)) => collector.handle(event),
                Some(Err(error)) => break error.to_string(),
                None => break "the event stream ended".to_owned(),
            }
        };
        let text = format!("events may be missing: {lost}");
        note(
            &collector.log,
            SystemTime::now(),
            EntryKind::Engine,
            "engine",
            text,
        );
        sleep(RETRY).await;
    }
}

/// Reads the whole log of each container that has not been removed.
pub(super) async fn catch_up(engine: &Engine, log: &SharedLog) {
    let present = log.with(|log| log.present());
    let reads = present.iter().map(|id| {
        let read = read_log(engine, id, false, log);
        timeout(LOG_LIMIT, read)
    });
    join_all(reads).await;
}

/// Adds the lines of a container's log; with `follow`, until the container ends.
async fn read_log(engine: &Engine, id: &str, follow: bool, log: &SharedLog) {
    let mut lines = std::pin::pin!(engine.logs(
        id,
        LogOptions {
            follow,
            timestamps: true,
            tail: None,
        },
    ));
    let mut index = 0;
    // After an error the log is read again later, unless the container has been removed.
    while let Some(Ok(line)) = lines.next().await {
        log.with(|log| log.line(id, index, &line.text));
        index += 1;
    }
}

fn note(log: &SharedLog, at: SystemTime, kind: EntryKind, source: &str, text: String) {
    let entry = Entry {
        at,
        source: source.to_owned(),
        kind,
        text,
    };
    log.with(|log| log.add(entry));
}

/// Follows the run's containers.
struct Collector {
    engine: Engine,
    ports: StatusPorts,
    log: SharedLog,
    /// The lifecycle of each existing container, by its ID. Dropping a sender ends the container's task.
    lifecycles: BTreeMap<String, watch::Sender<Lifecycle>>,
    tasks: JoinSet<()>,
}

impl Collector {
    fn handle(&mut self, event: Event) {
        let Event { at, id, name, action } = event;
        if matches!(action, Action::Create | Action::Start) {
            self.add(&id, &name);
        }
        if let Some(lifecycle) = self.lifecycles.get(&id) {
            lifecycle.send_modify(|lifecycle| lifecycle.apply(&action));
        }
        if action == Action::Destroy {
            self.remove(&id);
        }
        note(&self.log, at, EntryKind::Engine, &name, action.to_string());
    }

    /// Brings the lifecycles up to date with a listing, for changes whose events were missed.
    fn reconcile(&mut self, listed: &[Container]) {
        let now = SystemTime::now();
        let gone = |id: &&String| !listed.iter().any(|container| container.id == **id);
        let gone: Vec<String> = self.lifecycles.keys().filter(gone).cloned().collect();
        gone.iter().for_each(|id| self.remove(id));
        for container in listed {
            let new = !self.lifecycles.contains_key(&container.id);
            self.add(&container.id, &container.name);
            let changed = self.lifecycles.get(&container.id).is_some_and(|lifecycle| {
                lifecycle.send_if_modified(|lifecycle| lifecycle.observe(container.running()))
            });
            if new || changed {
                let text = format!("found: {}", container.status);
                note(&self.log, now, EntryKind::Engine, &container.name, text);
            }
        }
    }

    /// Starts collecting from a container, unless it is known.
    fn add(&mut self, id: &str, name: &str) {
        if self.lifecycles.contains_key(id) {
            return;
        }
        let (lifecycle, followed) = watch::channel(Lifecycle::default());
        self.lifecycles.insert(id.to_owned(), lifecycle);
        self.log.with(|log| log.container(id, name));
        let task = ContainerTask {
            engine: self.engine.clone(),
            ports: self.ports.clone(),
            log: self.log.clone(),
            lifecycle: followed,
            id: id.to_owned(),
            name: name.to_owned(),
        };
        self.tasks.spawn(task.run());
    }

    fn remove(&mut self, id: &str) {
        if let Some(lifecycle) = self.lifecycles.remove(id) {
            lifecycle.send_modify(|lifecycle| lifecycle.apply(&Action::Destroy));
        }
        // Reaps the tasks of containers removed earlier.
        while self.tasks.try_join_next().is_some() {}
    }
}

/// Collects from one container.
struct ContainerTask {
    engine: Engine,
    ports: StatusPorts,
    log: SharedLog,
    lifecycle: watch::Receiver<Lifecycle>,
    id: String,
    name: String,
}

impl ContainerTask {
    /// Returns once the container has been removed.
    async fn run(self) {
        tokio::join!(self.log(), self.view());
        self.log.with(|log| log.mark_removed(&self.id));
    }

    /// Follows the log across restarts of the container.
    async fn log(&self) {
        let mut lifecycle = self.lifecycle.clone();
        loop {
            let starts = lifecycle.borrow().starts;
            read_log(&self.engine, &self.id, true, &self.log).await;
            let again = timeout(RETRY, lifecycle.wait_for(|lifecycle| lifecycle.starts > starts)).await;
            let removed = match again.map(|started| started.is_err()) {
                Ok(removed) => removed,
                // If the container is still running, the engine closed the stream early.
                Err(_) => lifecycle.wait_for(|lifecycle| lifecycle.running).await.is_err(),
            };
            if removed {
                return;
            }
        }
    }

    /// Polls the sidecar's view while the container is running, and notes its changes.
    async fn view(&self) {
        let mut known: Option<View> = None;
        let mut silent = false;
        let mut ticks = tokio::time::interval(VIEW_PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut lifecycle = self.lifecycle.clone();
        while let Ok(now) = lifecycle
            .wait_for(|lifecycle| lifecycle.running)
            .await
            .map(|lifecycle| *lifecycle)
        {
            let address = match self.endpoint().await {
                Ok(Some(address)) => address,
                // The port is not published: wait for the next start.
                Ok(None) => {
                    if lifecycle.wait_for(|lifecycle| *lifecycle != now).await.is_err() {
                        return;
                    }
                    continue;
                }
                Err(_) => {
                    sleep(RETRY).await;
                    continue;
                }
            };
            while *lifecycle.borrow() == now {
                ticks.tick().await;
                self.poll(address, &mut known, &mut silent).await;
            }
        }
    }

    /// The address of its sidecar's status listener; `None` if the port is not published.
    async fn endpoint(&self) -> Result<Option<SocketAddr>, EngineError> {
        let container = self.engine.container(&self.id).await?;
        Ok(self.ports.endpoint(&container))
    }

    async fn poll(&self, address: SocketAddr, known: &mut Option<View>, silent: &mut bool) {
        let note = |what| {
            let now = SystemTime::now();
            note(&self.log, now, EntryKind::Membership, &self.name, what);
        };
        match mesh_view::fetch(address, VIEW_LIMIT).await {
            Ok(view) => {
                *silent = false;
                view_diff::changes(known.as_ref(), &view, |node| self.name_of(node))
                    .into_iter()
                    .for_each(note);
                *known = Some(view);
            }
            // A failure is noted once until the sidecar answers again.
            Err(_) if *silent => {}
            Err(reason) => {
                *silent = true;
                note(format!("does not answer: {reason}"));
            }
        }
    }

    /// The name of a node's container, followed by the node's name, which is a prefix of the container's ID.
    fn name_of(&self, node: &str) -> String {
        let known = self.log.with(|log| log.containers());
        let named = known
            .iter()
            .find(|(id, _)| node.len() >= 12 && id.starts_with(node));
        named.map_or_else(|| node.to_owned(), |(_, name)| format!("{name} ({node})"))
    }
}
