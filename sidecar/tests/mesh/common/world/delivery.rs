//! Delivers what arrives to nodes, and executes their actions.

use std::net::SocketAddr;

use sidecar::mesh::protocol::{Action, Event, Failure};
use sidecar::mesh::wire::{Datagram, DatagramKind};

use super::{Arrival, Living, PORT, Place, World};

impl World {
    pub(super) fn deliver(&mut self, place: Place, arrival: Arrival) {
        let Some(living) = self.living.get_mut(&place) else {
            // There is no node: the kernel refuses connections.
            if let Arrival::Request { from, asker, id, .. } = arrival {
                let refused = Arrival::Answered {
                    incarnation: asker,
                    id,
                    outcome: Err(Failure::Refused),
                    gossips: None,
                };
                let at = self.now + self.delay();
                self.arrive(at, from, refused);
            }
            return;
        };
        if living.frozen {
            living.kept.push(arrival);
            return;
        }
        let time = self.now - living.started;
        match arrival {
            // A deadline that was moved forward leaves its old event in the queue.
            Arrival::Wake if living.wake.is_some_and(|at| at > self.now) => {}
            Arrival::Wake => {
                living.wake = None;
                if living.protocol.next_deadline().is_some_and(|due| due <= time) {
                    self.handle(place, Event::Wake);
                } else {
                    self.schedule(place);
                }
            }
            Arrival::Datagram { from, datagram, size } => {
                self.received_datagram(place, size);
                self.handle(place, Event::Datagram { from, datagram });
            }
            Arrival::Disconnected(endpoint) => self.handle(place, Event::Disconnected(endpoint)),
            Arrival::Request {
                from,
                asker,
                id,
                request,
                gossips,
                until,
            } => {
                let answers_gossip = living.gossips;
                let (answer, actions) = if gossips && answers_gossip {
                    living.protocol.serve_gossiping(time, from, request)
                } else {
                    living.protocol.serve(time, from, request)
                };
                self.act(place, actions);
                if !self.chance(self.network.lost_answers) && !self.apart(place, from) {
                    let size = self.answered(place, from, &answer);
                    let at = self.now + self.transfer(size);
                    if at < until {
                        let answered = Arrival::Answered {
                            incarnation: asker,
                            id,
                            outcome: Ok(answer),
                            gossips: answers_gossip.then_some(SocketAddr::new(place, PORT)),
                        };
                        self.arrive(at, from, answered);
                    }
                }
            }
            Arrival::Answered {
                incarnation,
                id,
                outcome,
                gossips,
            } => {
                // The earlier of answer and timeout counts.
                if self.under_way.remove(&(place, incarnation, id)) && incarnation == living.incarnation {
                    let gossips = gossips.filter(|_| living.gossips);
                    if let Some(endpoint) = gossips {
                        self.handle(place, Event::Gossips(endpoint));
                    }
                    self.handle(place, Event::Answered { id, outcome });
                }
            }
        }
    }

    pub(super) fn handle(&mut self, place: Place, event: Event) {
        let Some(living) = self.living.get_mut(&place) else {
            return;
        };
        let time = self.now - living.started;
        let actions = living.protocol.handle(time, event);
        self.act(place, actions);
    }

    fn act(&mut self, place: Place, actions: Vec<Action>) {
        let Living {
            incarnation, gossips, ..
        } = self.living[&place];
        for action in actions {
            match action {
                Action::Publish => self.changed = true,
                Action::Gone { .. }
                | Action::LeaveRefuted(_)
                | Action::LeftOut { .. }
                | Action::Cut(_)
                | Action::Evicted(_) => {}
                Action::Send { to, datagram } => self.send(place, to.ip(), datagram),
                Action::Exchange {
                    id,
                    to,
                    request,
                    timeout,
                } => {
                    let late = Arrival::Answered {
                        incarnation,
                        id,
                        outcome: Err(Failure::Timeout),
                        gossips: None,
                    };
                    let until = self.now + timeout;
                    self.arrive(until, place, late);
                    self.under_way.insert((place, incarnation, id));
                    let at = self.asked(place, to, &request).map(|pause| self.now + pause);
                    // A later answer arrives after the timeout of the exchange.
                    if let Some(at) = at.filter(|at| *at < until) {
                        let asked = Arrival::Request {
                            from: place,
                            asker: incarnation,
                            id,
                            request,
                            gossips,
                            until,
                        };
                        self.arrive(at, to.ip(), asked);
                    }
                }
            }
        }
        self.schedule(place);
    }

    fn send(&mut self, from: Place, to: Place, datagram: Datagram) {
        let bytes = datagram.encode();
        self.sent_datagram(from, bytes.len());
        if !self.names.contains_key(&to) || self.apart(from, to) || self.chance(self.network.loss) {
            return;
        }
        let now = self.now;
        if let Some(sealing) = &mut self.sealing {
            sealing.datagram(from, to, &bytes, now);
        }
        // Every datagram is encoded and decoded as on the wire.
        assert_eq!(Datagram::parse(&bytes).as_ref(), Ok(&datagram));
        let twice = self.chance(self.network.duplicates) && datagram.kind != DatagramKind::Leave;
        for _ in 0..=usize::from(twice) {
            let at = self.now + self.delay();
            self.arrive(
                at,
                to,
                Arrival::Datagram {
                    from,
                    datagram: datagram.clone(),
                    size: bytes.len(),
                },
            );
        }
    }

    fn schedule(&mut self, place: Place) {
        let Some(living) = self.living.get_mut(&place) else {
            return;
        };
        let Some(due) = living.protocol.next_deadline() else {
            return;
        };
        let at = (living.started + due).max(self.now);
        if living.wake.is_none_or(|wake| at < wake) {
            living.wake = Some(at);
            self.arrive(at, place, Arrival::Wake);
        }
    }
}
