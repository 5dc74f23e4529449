//! The one task that owns a node's state machine: waits for something to happen, hands it in, and does
//! what comes out.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{self, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connection::IdleConnections;
use super::counters::{Counters, Outcome};
use super::exchange_client::{Ended, exchange};
use super::exchange_server::Served;
use super::large_bodies::LargeBodies;
use super::protocol::{Action, Departure, Event, Failure, Protocol};
use super::view::View;
use super::wire::{Datagram, MAX_DATAGRAM, Node};
use crate::balance::service::{Instances, Offer};
use crate::breakage::{Breakage, broken};

/// How often `leave` is said, because datagrams get lost, and the pause between.
const LEAVES: u32 = 2;
const LEAVE_PAUSE: Duration = Duration::from_millis(20);

/// What is known is published anew so rarely that it takes at most one part of so many of the time: in a large
/// mesh that starts, changes come by the hundred, and each costs as much as the mesh is large.
const PUBLISHING_SHARE: u32 = 10;
/// But a change waits no longer than this.
const PUBLISHING_LATEST: Duration = Duration::from_millis(250);

/// When what is known is to be published.
pub(super) struct Publishing {
    due: bool,
    not_before: Instant,
}

impl Publishing {
    pub(super) fn new() -> Self {
        Self {
            due: false,
            not_before: Instant::now(),
        }
    }
}

/// The state machine's surroundings.
pub(super) struct Driver {
    pub(super) protocol: Protocol,
    pub(super) incoming: Arc<UdpSocket>,
    pub(super) outgoing: Arc<UdpSocket>,
    pub(super) requests: mpsc::Receiver<Served>,
    pub(super) offers: watch::Receiver<Vec<Offer>>,
    pub(super) leave: oneshot::Receiver<Duration>,
    pub(super) instances: watch::Sender<Arc<Instances>>,
    pub(super) view: watch::Sender<Arc<View>>,
    pub(super) publishing: Publishing,
    pub(super) counters: Arc<Counters>,
    /// Of answers, so that askers cannot hold them up.
    pub(super) large: Arc<LargeBodies>,
    pub(super) stop: CancellationToken,
}

/// The exchanges under way, and the connections kept for the next.
#[derive(Default)]
struct Exchanges {
    tasks: JoinSet<Ended>,
    /// What each task is to report, and whom it asks.
    started: HashMap<task::Id, (u64, SocketAddr)>,
    idle: IdleConnections,
}

impl Exchanges {
    /// Waits until an exchange ends or a node closes its kept connection; says whether the node at that endpoint
    /// gossips. Can be cancelled.
    async fn next(&mut self) -> Option<(Option<SocketAddr>, Event)> {
        let joined = tokio::select! {
            Some(joined) = self.tasks.join_next_with_id() => joined,
            endpoint = self.idle.closed() => return Some((None, Event::Disconnected(endpoint))),
        };
        let (task, ended) = match joined {
            Ok(ended) => ended,
            // Its panic has been printed; the state machine must not wait for it for ever.
            Err(error) => (error.id(), Ended::failed(Failure::Bad)),
        };
        let (id, to) = self.started.remove(&task)?;
        if let Some(connection) = ended.connection {
            self.idle.keep(to, connection);
        }
        let outcome = ended.outcome;
        Some((ended.gossips.then_some(to), Event::Answered { id, outcome }))
    }
}

/// What the driver waits for.
enum Happening {
    Event(Event),
    /// An exchange has ended: with a node at this endpoint that gossips, where it is given.
    Ended(Option<SocketAddr>, Event),
    Request(Served),
    NotADatagram,
    /// The mesh is to be left within this time.
    Leave(Duration),
    Stop,
}

impl Driver {
    pub(super) async fn run(mut self) {
        let started = Instant::now();
        let mut exchanges = Exchanges::default();
        let mut buffer = vec![0; MAX_DATAGRAM + 1];
        let mut last_moment = None;
        // A new socket counts as full until the runtime has looked at it once.
        let _ = self.outgoing.writable().await;
        let offers = self.offers.borrow_and_update().clone();
        let actions = self.protocol.handle(Duration::ZERO, Event::Offers(offers));
        self.act(actions, &mut exchanges);
        self.publish_if_due();
        loop {
            if last_moment.is_some_and(|end| end <= Instant::now() || self.protocol.is_told()) {
                // First, lest a question of ours that arrives after the goodbye be taken for life.
                exchanges.tasks.shutdown().await;
                if !broken(Breakage::NoLeave) {
                    self.say_goodbye(started.elapsed()).await;
                }
                break;
            }
            let happening = self.wait(started, last_moment, &mut exchanges, &mut buffer).await;
            let now = started.elapsed();
            let actions = match happening {
                Happening::Event(Event::Offers(_)) if last_moment.is_some() => continue,
                Happening::Event(event) => self.protocol.handle(now, event),
                Happening::Ended(gossips, event) => {
                    let mut actions = match gossips {
                        Some(endpoint) => self.protocol.handle(now, Event::Gossips(endpoint)),
                        None => Vec::new(),
                    };
                    actions.extend(self.protocol.handle(now, event));
                    actions
                }
                Happening::Request(Served {
                    from,
                    request,
                    gossips,
                    answer,
                }) => {
                    let (given, actions) = if gossips {
                        self.protocol.serve_gossiping(now, from, request)
                    } else {
                        self.protocol.serve(now, from, request)
                    };
                    // The asker may have gone meanwhile.
                    let _ = answer.send(given);
                    actions
                }
                Happening::NotADatagram => {
                    self.counters.count_dropped();
                    continue;
                }
                Happening::Leave(limit) => {
                    last_moment = Some(Instant::now() + limit);
                    self.protocol.handle(now, Event::Offers(Vec::new()))
                }
                Happening::Stop => break,
            };
            self.act(actions, &mut exchanges);
            self.publish_if_due();
            exchanges.idle.retain(|to| self.protocol.keeps_connection(to));
        }
        exchanges.tasks.shutdown().await;
        self.stop.cancel();
    }

    async fn wait(
        &mut self,
        started: Instant,
        last_moment: Option<Instant>,
        exchanges: &mut Exchanges,
        buffer: &mut [u8],
    ) -> Happening {
        let deadline = self.protocol.next_deadline().map(|at| started + at);
        let publish = self.publishing.due.then_some(self.publishing.not_before);
        let deadline = deadline.into_iter().chain(last_moment).chain(publish).min();
        let alarm = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let leaving = last_moment.is_some();
        tokio::select! {
            () = self.stop.cancelled() => Happening::Stop,
            received = self.incoming.recv_from(buffer) => {
                let datagram = received.ok().and_then(|(length, from)| {
                    let datagram = Datagram::parse(&buffer[..length]).ok()?;
                    Some((from.ip(), datagram))
                });
                let Some((from, datagram)) = datagram else {
                    return Happening::NotADatagram;
                };
                self.counters.count_received(datagram.kind);
                Happening::Event(Event::Datagram { from, datagram })
            }
            Some(served) = self.requests.recv() => Happening::Request(served),
            Some((gossips, event)) = exchanges.next() => Happening::Ended(gossips, event),
            Ok(()) = self.offers.changed(), if !leaving => {
                Happening::Event(Event::Offers(self.offers.borrow_and_update().clone()))
            }
            limit = &mut self.leave, if !leaving => limit.map_or(Happening::Stop, Happening::Leave),
            () = alarm => Happening::Event(Event::Wake),
        }
    }

    fn act(&mut self, actions: Vec<Action>, exchanges: &mut Exchanges) {
        for action in actions {
            match action {
                Action::Send { to, datagram } => {
                    // Like the network, a full buffer loses datagrams; search rounds come again.
                    match self.outgoing.try_send_to(&datagram.encode(), to) {
                        Ok(_) => self.counters.count_sent(datagram.kind),
                        Err(error) => {
                            self.counters.count_unsent();
                            tracing::trace!(%to, %error, "datagram not sent");
                        }
                    }
                }
                Action::Exchange {
                    id,
                    to,
                    request,
                    timeout,
                } => {
                    let (own, kind) = (self.protocol.membership().own().address(), request.kind());
                    let (counters, large) = (self.counters.clone(), self.large.clone());
                    let kept = exchanges.idle.take(to);
                    let task = exchanges.tasks.spawn(async move {
                        let ended = exchange(own, to, request, timeout, kept, &large).await;
                        let counted = match ended.outcome {
                            Ok(_) => Outcome::Answered,
                            Err(failure) => Outcome::Failed(failure),
                        };
                        counters.count_made(kind, counted);
                        ended
                    });
                    exchanges.started.insert(task.id(), (id, to));
                }
                Action::Gone { node, why } => match why {
                    Departure::Left => tracing::info!(%node, "discovery: left"),
                    Departure::Replaced => {
                        tracing::warn!(%node, why = "another node is in its place", "discovery: lost");
                    }
                    Departure::Lost(Failure::Refused) => {
                        tracing::warn!(%node, why = "refused", "discovery: lost");
                    }
                    Departure::Lost(Failure::Timeout) => {
                        tracing::warn!(%node, why = "no answer", "discovery: lost");
                    }
                    Departure::Lost(Failure::Bad) => {
                        tracing::warn!(%node, why = "bad answer", "discovery: lost");
                    }
                },
                Action::Publish => self.publishing.due = true,
            }
        }
    }

    fn publish_if_due(&mut self) {
        let begin = Instant::now();
        if !self.publishing.due || begin < self.publishing.not_before {
            return;
        }
        self.publish();
        let pause = begin.elapsed() * (PUBLISHING_SHARE - 1);
        self.publishing = Publishing {
            due: false,
            not_before: Instant::now() + pause.min(PUBLISHING_LATEST),
        };
    }

    fn publish(&self) {
        let view = self.protocol.view();
        let before = up_nodes(&self.view.borrow());
        let after = up_nodes(&view);
        for node in after.difference(&before) {
            tracing::info!(node, "discovery: up");
        }
        self.view.send_replace(Arc::new(view));
        let instances = self.protocol.instances();
        self.instances.send_if_modified(|held| {
            let changed = **held != instances;
            if changed {
                *held = Arc::new(instances);
            }
            changed
        });
    }

    async fn say_goodbye(&mut self, now: Duration) {
        let goodbye = self.protocol.handle(now, Event::Leave);
        let mut none = Exchanges::default();
        for time in 0..LEAVES {
            if time > 0 {
                tokio::time::sleep(LEAVE_PAUSE).await;
            }
            self.act(goodbye.clone(), &mut none);
        }
        let node: &Node = self.protocol.membership().own();
        tracing::info!(%node, "discovery: left");
    }
}

fn up_nodes(view: &View) -> BTreeSet<String> {
    use super::view::Health;
    let up = view
        .nodes
        .iter()
        .filter(|node| node.health == Health::Up && !node.is_self);
    up.map(|node| {
        format!(
            "{}@{}:{}",
            node.node.node_name, node.node.address, node.node.tcp_port
        )
    })
    .collect()
}
