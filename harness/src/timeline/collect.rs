//! The tasks that collect: one hears the engine, and one for each container reads its log and its sidecar's view.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::life::Life;
use super::{Entry, Kind, Shared, members};
use crate::cluster::mesh_view::{self, View};
use crate::cluster::topology::Topology;
use crate::engine::{Action, Container, Engine, EngineError, Event, label};

/// Time until something is asked again of an engine that did not answer.
const RETRY: Duration = Duration::from_secs(1);
/// Time between two looks at a sidecar's view.
const VIEW_PERIOD: Duration = Duration::from_millis(100);
/// Time that a sidecar has to give its view.
const VIEW_LIMIT: Duration = Duration::from_secs(1);
/// Time that the engine has to give a container's whole log.
const LOG_LIMIT: Duration = Duration::from_secs(5);

/// The status port of each member.
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

    /// Where a container's sidecar tells its view; a member that was added later has the port of the others.
    fn endpoint(&self, container: &Container) -> Option<SocketAddr> {
        let name = container.label(label::SERVICE);
        let port = self.known.get(name).or_else(|| self.known.values().next())?;
        container.endpoint(*port)
    }
}

/// Collects from all containers of a run, those that are made later included. Does not end.
pub(super) async fn all(engine: Engine, run: String, ports: StatusPorts, book: Shared) {
    let filter = format!("{}={run}", label::RUN);
    let mut all = All {
        engine: engine.clone(),
        ports,
        book,
        lives: BTreeMap::new(),
        collectors: JoinSet::new(),
    };
    loop {
        // Heard from before the look at what is there, so that nothing falls between the two.
        let mut events = engine.events(&run);
        if let Ok(listed) = engine.containers(&filter).await {
            all.find(&listed);
        }
        let lost = loop {
            match events.next().await {
                Some(Ok(event)) => all.hear(event),
                Some(Err(error)) => break error.to_string(),
                None => break "the engine tells no more".to_owned(),
            }
        };
        let text = format!("events may be missing: {lost}");
        note(&all.book, SystemTime::now(), Kind::Engine, "engine", text);
        sleep(RETRY).await;
    }
}

/// Reads the whole log of each container that is still there.
pub(super) async fn catch_up(engine: &Engine, book: &Shared) {
    let present = book.with(|book| book.present());
    let reads = present.iter().map(|id| {
        let read = read_log(engine, id, false, book);
        timeout(LOG_LIMIT, read)
    });
    join_all(reads).await;
}

/// Hands the lines of a log to the book; with `follow` until the container ends.
async fn read_log(engine: &Engine, id: &str, follow: bool, book: &Shared) {
    let mut lines = std::pin::pin!(engine.dated_logs(id, None, follow));
    let mut index = 0;
    // What cannot be read now may be read later, or is not there any more.
    while let Some(Ok(line)) = lines.next().await {
        book.with(|book| book.line(id, index, &line.text));
        index += 1;
    }
}

fn note(book: &Shared, at: SystemTime, kind: Kind, source: &str, text: String) {
    let entry = Entry {
        at,
        source: source.to_owned(),
        kind,
        text,
    };
    book.with(|book| book.add(entry));
}

/// What is known of the run's containers.
struct All {
    engine: Engine,
    ports: StatusPorts,
    book: Shared,
    /// Of each that is there, by its id; who collects from it ends when this is dropped.
    lives: BTreeMap<String, watch::Sender<Life>>,
    collectors: JoinSet<()>,
}

impl All {
    fn hear(&mut self, event: Event) {
        let Event { at, id, name, action } = event;
        if matches!(action, Action::Create | Action::Start) {
            self.enter(&id, &name);
        }
        if let Some(life) = self.lives.get(&id) {
            life.send_modify(|life| life.change(&action));
        }
        if action == Action::Destroy {
            self.leave(&id);
        }
        note(&self.book, at, Kind::Engine, &name, action.to_string());
    }

    /// Takes up what is there, as far as it was not heard of.
    fn find(&mut self, listed: &[Container]) {
        let now = SystemTime::now();
        let gone = |id: &&String| !listed.iter().any(|container| container.id == **id);
        let gone: Vec<String> = self.lives.keys().filter(gone).cloned().collect();
        gone.iter().for_each(|id| self.leave(id));
        for container in listed {
            let new = !self.lives.contains_key(&container.id);
            self.enter(&container.id, &container.name);
            let changed = self
                .lives
                .get(&container.id)
                .is_some_and(|life| life.send_if_modified(|life| life.found(container.running())));
            if new || changed {
                let text = format!("found: {}", container.status);
                note(&self.book, now, Kind::Engine, &container.name, text);
            }
        }
    }

    /// Begins to collect from a container, unless it is known.
    fn enter(&mut self, id: &str, name: &str) {
        if self.lives.contains_key(id) {
            return;
        }
        let (life, followed) = watch::channel(Life::default());
        self.lives.insert(id.to_owned(), life);
        self.book.with(|book| book.container(id, name));
        let one = One {
            engine: self.engine.clone(),
            ports: self.ports.clone(),
            book: self.book.clone(),
            life: followed,
            id: id.to_owned(),
            name: name.to_owned(),
        };
        self.collectors.spawn(one.run());
    }

    fn leave(&mut self, id: &str) {
        if let Some(life) = self.lives.remove(id) {
            life.send_modify(|life| life.change(&Action::Destroy));
        }
        // Those of containers that went earlier have ended.
        while self.collectors.try_join_next().is_some() {}
    }
}

/// What collects from one container.
struct One {
    engine: Engine,
    ports: StatusPorts,
    book: Shared,
    life: watch::Receiver<Life>,
    id: String,
    name: String,
}

impl One {
    /// Ends once the container is gone.
    async fn run(self) {
        tokio::join!(self.log(), self.view());
        self.book.with(|book| book.gone(&self.id));
    }

    /// Follows the log through all ends and starts of the container.
    async fn log(&self) {
        let mut life = self.life.clone();
        loop {
            let starts = life.borrow().starts;
            read_log(&self.engine, &self.id, true, &self.book).await;
            let again = timeout(RETRY, life.wait_for(|life| life.starts > starts)).await;
            let gone = match again.map(|started| started.is_err()) {
                Ok(gone) => gone,
                // Where it runs all the same, the engine has broken off.
                Err(_) => life.wait_for(|life| life.running).await.is_err(),
            };
            if gone {
                return;
            }
        }
    }

    async fn view(&self) {
        let mut known: Option<View> = None;
        let mut silent = false;
        let mut turns = tokio::time::interval(VIEW_PERIOD);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut life = self.life.clone();
        while let Ok(now) = life.wait_for(|life| life.running).await.map(|life| *life) {
            let address = match self.endpoint().await {
                Ok(Some(address)) => address,
                // It publishes nothing for as long as it runs.
                Ok(None) => {
                    if life.wait_for(|life| *life != now).await.is_err() {
                        return;
                    }
                    continue;
                }
                Err(_) => {
                    sleep(RETRY).await;
                    continue;
                }
            };
            while *life.borrow() == now {
                turns.tick().await;
                self.look(address, &mut known, &mut silent).await;
            }
        }
    }

    /// Where its sidecar tells its view, if it does.
    async fn endpoint(&self) -> Result<Option<SocketAddr>, EngineError> {
        let container = self.engine.container(&self.id).await?;
        Ok(self.ports.endpoint(&container))
    }

    async fn look(&self, address: SocketAddr, known: &mut Option<View>, silent: &mut bool) {
        let note = |what| note(&self.book, SystemTime::now(), Kind::Membership, &self.name, what);
        match mesh_view::fetch(address, VIEW_LIMIT).await {
            Ok(view) => {
                *silent = false;
                members::changes(known.as_ref(), &view, |node| self.name_of(node))
                    .into_iter()
                    .for_each(note);
                *known = Some(view);
            }
            // Told once, until it speaks again.
            Err(_) if *silent => {}
            Err(reason) => {
                *silent = true;
                note(format!("says nothing: {reason}"));
            }
        }
    }

    /// A node's container, with its own name, which is the begin of the container's id.
    fn name_of(&self, node: &str) -> String {
        let known = self.book.with(|book| book.containers());
        let named = known
            .iter()
            .find(|(id, _)| node.len() >= 12 && id.starts_with(node));
        named.map_or_else(|| node.to_owned(), |(_, name)| format!("{name} ({node})"))
    }
}
