//! The tasks that collect.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::engine::{self, States};
use super::{Entry, Kind, Shared, members};
use crate::runtime::{Container, Runtime, label};
use crate::topology::Topology;
use crate::view::{self, View};

/// Time between two looks at the engine's list of containers.
const LIST_PERIOD: Duration = Duration::from_millis(200);
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
pub(super) async fn all(runtime: Runtime, run: String, ports: StatusPorts, book: Shared) {
    let filter = format!("{}={run}", label::RUN);
    let mut states = States::new();
    let (list, listed) = watch::channel(Vec::new());
    let mut collectors = JoinSet::new();
    let mut looks = tokio::time::interval(LIST_PERIOD);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        // An engine that gives no answer now may give one at the next look.
        let Ok(containers) = runtime.containers(&filter).await else {
            continue;
        };
        let fresh: Vec<Container> = containers
            .iter()
            .filter(|container| !states.contains_key(&container.id))
            .cloned()
            .collect();
        for (name, what) in engine::changes(&mut states, &containers) {
            note(&book, Kind::Engine, &name, what);
        }
        list.send_replace(containers);
        for container in fresh {
            book.with(|book| book.container(&container.id, &container.name));
            let one = One {
                runtime: runtime.clone(),
                ports: ports.clone(),
                book: book.clone(),
                listed: listed.clone(),
                id: container.id,
                name: container.name,
            };
            collectors.spawn(one.run());
        }
        // Those of containers that are gone have ended.
        while collectors.try_join_next().is_some() {}
    }
}

/// Reads the whole log of each container that is still there.
pub(super) async fn catch_up(runtime: &Runtime, book: &Shared) {
    let present = book.with(|book| book.present());
    let reads = present.iter().map(|id| {
        let read = read_log(runtime, id, false, book);
        tokio::time::timeout(LOG_LIMIT, read)
    });
    join_all(reads).await;
}

/// Hands the lines of a log to the book; with `follow` until the container ends.
async fn read_log(runtime: &Runtime, id: &str, follow: bool, book: &Shared) {
    let mut lines = std::pin::pin!(runtime.dated_logs(id, None, follow));
    let mut index = 0;
    // What cannot be read any more is not there any more.
    while let Some(Ok(line)) = lines.next().await {
        book.with(|book| book.line(id, index, &line.text));
        index += 1;
    }
}

fn note(book: &Shared, kind: Kind, source: &str, text: String) {
    let entry = Entry {
        at: SystemTime::now(),
        source: source.to_owned(),
        kind,
        text,
    };
    book.with(|book| book.add(entry));
}

/// What collects from one container.
struct One {
    runtime: Runtime,
    ports: StatusPorts,
    book: Shared,
    listed: watch::Receiver<Vec<Container>>,
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
        let mut listed = self.listed.clone();
        loop {
            listed.mark_unchanged();
            read_log(&self.runtime, &self.id, true, &self.book).await;
            // The list of now is from before the end: wait for a later one that has it running, or has it not.
            loop {
                if listed.changed().await.is_err() {
                    return;
                }
                match self.find(&listed.borrow_and_update()) {
                    Some(container) if container.running() => break,
                    Some(_) => {}
                    None => return,
                }
            }
        }
    }

    async fn view(&self) {
        let mut known: Option<View> = None;
        let mut silent = false;
        let mut turns = tokio::time::interval(VIEW_PERIOD);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            let Some(container) = self.find(&self.listed.borrow()) else {
                return;
            };
            let Some(address) = self.ports.endpoint(&container).filter(|_| container.running()) else {
                continue;
            };
            match view::fetch(address, VIEW_LIMIT).await {
                Ok(view) => {
                    silent = false;
                    for what in members::changes(known.as_ref(), &view, |node| self.name_of(node)) {
                        note(&self.book, Kind::Membership, &self.name, what);
                    }
                    known = Some(view);
                }
                // Told once, until it speaks again.
                Err(_) if silent => {}
                Err(reason) => {
                    silent = true;
                    note(
                        &self.book,
                        Kind::Membership,
                        &self.name,
                        format!("says nothing: {reason}"),
                    );
                }
            }
        }
    }

    fn find(&self, list: &[Container]) -> Option<Container> {
        list.iter().find(|container| container.id == self.id).cloned()
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
