//! The task that owns a node's state machine: waits for events, passes them to it, and executes its actions.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::counters::Counters;
use super::endpoint::{Endpoint, Moved};
use super::exchange_client::Context;
use super::exchange_server::{Leaving, Served};
use super::exchanges::{Asked, Exchanges};
use super::key::envelope::DATAGRAM_OVERHEAD;
use super::key::{self, MeshKey};
use super::large_bodies::LargeBodies;
use super::protocol::{Action, Departure, Event, Knowledge, Protocol};
use super::publishing::Publishing;
use super::wire::{Datagram, DatagramKind, MAX_DATAGRAM, Node};
use crate::balance::service::Offer;
use crate::fault::Fault;
use crate::interface::{Addresses, Choice, Unusable};

/// Transmissions of `leave`, because datagrams get lost, and the pause between two.
const LEAVES: u32 = 2;
const LEAVE_PAUSE: Duration = Duration::from_millis(20);

/// The longest wait for peers to ask whether the `leave` was ours: they wait that long for the answer.
const CONFIRMING: Duration = Duration::from_secs(1);

/// Datagrams read at most before timers are handled, so that a flood cannot stop the timers.
const MAX_READ_BEFORE_TIMERS: usize = 64;

/// What the next process of a node is handed.
#[derive(Debug)]
pub struct Handed {
    /// What the node knows of the mesh.
    pub knowledge: Knowledge,
    /// Its sockets.
    pub sockets: Vec<OwnedFd>,
}

/// The state machine with its sockets and channels.
pub(super) struct Driver {
    pub(super) protocol: Protocol,
    pub(super) addresses: Addresses,
    pub(super) endpoint: Endpoint,
    pub(super) requests: mpsc::Receiver<Served>,
    pub(super) offers: watch::Receiver<Vec<Offer>>,
    pub(super) leave: oneshot::Receiver<Duration>,
    pub(super) handed: mpsc::Receiver<oneshot::Sender<Handed>>,
    pub(super) publishing: Publishing,
    pub(super) counters: Arc<Counters>,
    pub(super) key: Option<Arc<MeshKey>>,
    /// Limits large answers. Separate from the limit of requests, so that requests cannot delay answers.
    pub(super) large: Arc<LargeBodies>,
    pub(super) stop: CancellationToken,
}

/// An input of the driver's loop.
enum Input {
    Event(Event),
    /// An exchange has ended; the endpoint is set if its peer has announced that it gossips.
    Ended(Option<SocketAddr>, Event),
    Request(Served),
    NotADatagram,
    /// The node has this address now, or none.
    Address(Result<Choice, Unusable>),
    /// Leave the mesh within this time.
    Leave(Duration),
    /// Report what the next process of the node is to be handed.
    HandOver(oneshot::Sender<Handed>),
    /// The machine's addresses have changed.
    Networks,
    Stop,
}

impl Driver {
    pub(super) async fn run(mut self) {
        self.stop.run_until_cancelled(self.endpoint.opened()).await;
        let started = Instant::now();
        let mut exchanges = Exchanges::default();
        let mut buffer = vec![0; MAX_DATAGRAM + DATAGRAM_OVERHEAD + 1];
        let mut leave_deadline = None;
        // A new socket is not writable until the runtime has polled it once.
        let _ = self.endpoint.sockets().outgoing.writable().await;
        let offers = self.offers.borrow_and_update().clone();
        let actions = self.protocol.handle(Duration::ZERO, Event::Offers(offers));
        self.act(Duration::ZERO, actions, &mut exchanges);
        self.publishing.publish_if_due(&self.protocol);
        loop {
            if leave_deadline.is_some_and(|end| end <= Instant::now() || self.protocol.is_acknowledged()) {
                // First, because a request of ours that arrives after `leave` would look like a sign of life.
                exchanges.shutdown().await;
                let asking = self.peers_that_ask();
                self.send_leave(started.elapsed()).await;
                self.confirm_leave(asking).await;
                break;
            }
            let input = self
                .wait(started, leave_deadline, &mut exchanges, &mut buffer)
                .await;
            let now = started.elapsed();
            if matches!(input, Input::Event(Event::Wake)) {
                self.read_waiting_datagrams(now, &mut exchanges, &mut buffer);
            }
            let actions = match input {
                Input::Event(Event::Offers(_)) if leave_deadline.is_some() => continue,
                Input::Event(event) => self.protocol.handle(now, event),
                Input::Ended(gossips, event) => {
                    let mut actions = match gossips {
                        Some(endpoint) => self.protocol.handle(now, Event::Gossips(endpoint)),
                        None => Vec::new(),
                    };
                    actions.extend(self.protocol.handle(now, event));
                    actions
                }
                Input::Request(Served {
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
                    // The connection may have ended in the meantime.
                    let _ = answer.send(Ok(given));
                    actions
                }
                Input::NotADatagram => {
                    self.counters.count_dropped();
                    continue;
                }
                Input::Address(found) => self.readdress(now, found, &mut exchanges).await,
                Input::Leave(limit) => {
                    leave_deadline = Some(Instant::now() + limit);
                    self.protocol.handle(now, Event::Offers(Vec::new()))
                }
                Input::HandOver(answer) => {
                    match self.handed() {
                        // The one who asked may have given up.
                        Ok(handed) => drop(answer.send(handed)),
                        Err(error) => tracing::warn!(%error, "discovery: the sockets cannot be handed over"),
                    }
                    continue;
                }
                Input::Networks => self
                    .protocol
                    .handle(now, Event::Networks(self.addresses.networks())),
                Input::Stop => break,
            };
            self.act(now, actions, &mut exchanges);
            self.publishing.publish_if_due(&self.protocol);
            exchanges.keep_idle(|to| self.protocol.keeps_connection(to));
        }
        exchanges.shutdown().await;
        self.stop.cancel();
    }

    async fn wait(
        &mut self,
        started: Instant,
        leave_deadline: Option<Instant>,
        exchanges: &mut Exchanges,
        buffer: &mut [u8],
    ) -> Input {
        // Without an address no time passes for the protocol: nothing that happens now is a peer's fault.
        let reachable = self.endpoint.is_reachable();
        let deadline = self
            .protocol
            .next_deadline()
            .filter(|_| reachable)
            .map(|at| started + at);
        let publish = self.publishing.due_at();
        let deadline = deadline.into_iter().chain(leave_deadline).chain(publish).min();
        let alarm = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let leaving = leave_deadline.is_some();
        let incoming = Arc::clone(&self.endpoint.sockets().incoming);
        tokio::select! {
            () = self.stop.cancelled() => Input::Stop,
            received = incoming.recv_from(buffer) => {
                let heard = received.ok().and_then(|(length, from)| self.heard(started.elapsed(), &buffer[..length], from));
                heard.map_or(Input::NotADatagram, Input::Event)
            }
            Some(served) = self.requests.recv() => Input::Request(served),
            Some((gossips, event)) = exchanges.next() => Input::Ended(gossips, event),
            found = self.endpoint.changed() => Input::Address(found),
            Ok(()) = self.offers.changed(), if !leaving && reachable => {
                Input::Event(Event::Offers(self.offers.borrow_and_update().clone()))
            }
            limit = &mut self.leave, if !leaving => limit.map_or(Input::Stop, Input::Leave),
            () = self.addresses.changed() => Input::Networks,
            Some(answer) = self.handed.recv() => Input::HandOver(answer),
            () = alarm => Input::Event(Event::Wake),
        }
    }

    fn handed(&self) -> io::Result<Handed> {
        Ok(Handed {
            knowledge: self.protocol.knowledge(),
            sockets: self.endpoint.sockets().duplicates()?,
        })
    }

    /// Reads waiting datagrams before timers are handled: on a busy machine, answers to probes among them would
    /// otherwise count as missed.
    fn read_waiting_datagrams(&mut self, now: Duration, exchanges: &mut Exchanges, buffer: &mut [u8]) {
        for _ in 0..MAX_READ_BEFORE_TIMERS {
            let Ok((length, from)) = self.endpoint.sockets().incoming.try_recv_from(buffer) else {
                return;
            };
            let Some(event) = self.heard(now, &buffer[..length], from) else {
                self.counters.count_dropped();
                continue;
            };
            let actions = self.protocol.handle(now, event);
            self.act(now, actions, exchanges);
        }
    }

    /// Parses a datagram and counts it.
    fn heard(&self, now: Duration, bytes: &[u8], from: SocketAddr) -> Option<Event> {
        let to = self.protocol.membership().own().datagram_address();
        let key = self.key.as_deref();
        let heard = key::read(key, &self.counters.refusals, bytes, (from, to), now)?;
        let from = from.ip();
        match heard {
            key::Heard::Message(datagram) => {
                self.counters.count_received(datagram.kind);
                Some(Event::Datagram { from, datagram })
            }
            key::Heard::Hint(Datagram {
                node_name,
                udp_port,
                tcp_port,
                ..
            }) => {
                let node = Node::new(&node_name, from, udp_port, tcp_port);
                node.ok().map(Event::Hint)
            }
        }
    }

    fn act(&mut self, now: Duration, actions: Vec<Action>, exchanges: &mut Exchanges) {
        for action in actions {
            match action {
                Action::Send { to, datagram } => {
                    // The protocol repeats what is lost, here or in the network. But a probe that was never sent must
                    // not count as unanswered.
                    let sockets = self.endpoint.sockets();
                    let bytes = key::encode(self.key.as_deref(), &datagram, sockets.source, to);
                    match sockets.outgoing.try_send_to(&bytes, to) {
                        Ok(_) => self.counters.count_sent(datagram.kind),
                        Err(error) => {
                            self.counters.count_unsent();
                            tracing::trace!(%to, %error, "datagram not sent");
                            if datagram.kind == DatagramKind::Search && self.is_own(&error) {
                                let actions = self.protocol.handle(now, Event::Unsent(to));
                                self.act(now, actions, exchanges);
                            }
                        }
                    }
                }
                Action::Exchange {
                    id,
                    to,
                    request,
                    timeout,
                } => {
                    let asked = Asked {
                        id,
                        to,
                        request,
                        timeout,
                    };
                    let context = Context {
                        own: self.protocol.membership().own().endpoint(),
                        key: self.key.clone(),
                        large: self.large.clone(),
                        counters: self.counters.clone(),
                    };
                    exchanges.start(asked, context);
                }
                Action::Gone { node, why } => match why {
                    Departure::Left => tracing::info!(%node, "discovery: left"),
                    Departure::Replaced => {
                        tracing::warn!(%node, why = "another node is in its place", "discovery: lost");
                    }
                    Departure::Down(failure) => {
                        tracing::warn!(%node, why = failure.as_str(), "discovery: lost");
                    }
                },
                Action::Cut(cut) => self.counters.note_cut(cut),
                Action::Evicted(node) => self.counters.note_evicted(&node),
                Action::LeaveRefuted(node) => self.counters.note_refuted_leave(&node),
                Action::LeftOut { from, dropped } => self.counters.note_unusable(from, &dropped),
                Action::Publish => self.publishing.want(),
            }
        }
    }

    /// Moves to another address, or waits for one.
    async fn readdress(
        &mut self,
        now: Duration,
        found: Result<Choice, Unusable>,
        exchanges: &mut Exchanges,
    ) -> Vec<Action> {
        if let Ok(choice) = &found {
            let before = self.protocol.membership().own().address();
            // While the old address still works, peers need not find out.
            if choice.address != before && self.addresses.has(before) && self.endpoint.is_reachable() {
                let farewell = self.protocol.farewell();
                self.act(now, farewell, exchanges);
            }
        }
        let Some(moved) = self.endpoint.follow(found).await else {
            return Vec::new();
        };
        // They come from the old address.
        exchanges.shutdown().await;
        *exchanges = Exchanges::default();
        match moved {
            Moved::Nowhere => Vec::new(),
            Moved::To(own, search) => self.protocol.handle(now, Event::Readdressed { own, search }),
        }
    }

    /// Whether an error of sending is a fault of this machine. If its interface is down, all destinations are
    /// unreachable: that is ours as well, and the peers stay as they are until it is up again. They would be found again
    /// only one by one, and until then their instances would be the last choice.
    fn is_own(&self, error: &io::Error) -> bool {
        let own = self.protocol.membership().own().address();
        Fault::of_source(error, Some(own)).is_own()
    }

    async fn send_leave(&mut self, now: Duration) {
        let leave = self.protocol.handle(now, Event::Leave);
        let mut none = Exchanges::default();
        for time in 0..LEAVES {
            if time > 0 {
                tokio::time::sleep(LEAVE_PAUSE).await;
            }
            self.act(now, leave.clone(), &mut none);
        }
        let node: &Node = self.protocol.membership().own();
        tracing::info!(%node, "discovery: left");
    }

    /// The addresses of the peers that ask whether a `leave` in our name is ours; a peer that does not gossip believes it.
    fn peers_that_ask(&self) -> Vec<IpAddr> {
        let up = self.protocol.membership().up();
        up.filter(|peer| peer.gossips())
            .map(|peer| peer.node.address())
            .collect()
    }

    /// Answers requests by saying that this node leaves, until each of these peers has asked.
    async fn confirm_leave(&mut self, mut asking: Vec<IpAddr>) {
        let end = Instant::now() + CONFIRMING;
        while !asking.is_empty() {
            let Ok(Some(Served { from, answer, .. })) =
                tokio::time::timeout_at(end, self.requests.recv()).await
            else {
                return;
            };
            // The connection may have ended in the meantime.
            let _ = answer.send(Err(Leaving));
            if let Some(asked) = asking.iter().position(|peer| *peer == from) {
                asking.swap_remove(asked);
            }
        }
    }
}
