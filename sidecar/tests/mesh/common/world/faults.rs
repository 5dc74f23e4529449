//! Faults of nodes and of the network between them.

use std::net::SocketAddr;

use sidecar::balance::service::{Instance, Offer, ServiceId};
use sidecar::mesh::protocol::Event;

use super::{Arrival, PORT, Place, World};

impl World {
    /// Stops a node. Half of the others have a connection to it, which the kernel closes.
    pub(crate) fn kill(&mut self, place: Place) {
        self.living.remove(&place);
        self.kept.retain(|(from, to)| *from != place && *to != place);
        let others: Vec<Place> = self.living.keys().copied().collect();
        for other in others {
            if !self.apart(place, other) && self.chance(0.5) {
                let at = self.now + self.delay();
                self.arrive(at, other, Arrival::Disconnected(SocketAddr::new(place, PORT)));
            }
        }
    }

    /// Kills a node and restarts it at once, without its state.
    pub(crate) fn restart(&mut self, place: Place) {
        self.kill(place);
        self.boot(place);
    }

    /// A recreated container: another name at the same address.
    pub(crate) fn restart_as_another(&mut self, place: Place) {
        self.sequence += 1;
        self.names.insert(place, format!("another{}", self.sequence));
        self.restart(place);
    }

    pub(crate) fn leave(&mut self, place: Place) {
        self.handle(place, Event::Leave);
        self.kill(place);
    }

    pub(crate) fn freeze(&mut self, place: Place) {
        if let Some(living) = self.living.get_mut(&place) {
            living.frozen = true;
        }
    }

    pub(crate) fn thaw(&mut self, place: Place) {
        if let Some(living) = self.living.get_mut(&place) {
            living.frozen = false;
            for arrival in std::mem::take(&mut living.kept) {
                self.arrive(self.now, place, arrival);
            }
        }
    }

    pub(crate) fn partition(&mut self, one_side: &[Place]) {
        self.one_side = one_side.iter().copied().collect();
    }

    pub(crate) fn heal(&mut self) {
        self.one_side.clear();
    }

    pub(crate) fn offer(&mut self, place: Place, service: &str, weight: u32) {
        self.add_offer(place, service, weight);
        let Some(living) = self.living.get(&place) else {
            return;
        };
        let offers = living.offers.clone();
        self.handle(place, Event::Offers(offers));
    }

    fn add_offer(&mut self, place: Place, service: &str, weight: u32) {
        let Some(living) = self.living.get_mut(&place) else {
            return;
        };
        let port = 10_000 + u16::try_from(living.offers.len()).unwrap();
        living.offers.push(Offer {
            id: ServiceId {
                service: format!("my-service-{service}"),
                zone: "example".into(),
            },
            instance: Instance {
                address: SocketAddr::new(place, port),
                weight,
                at_node: true,
            },
        });
    }

    /// As [`Self::offer`], for several instances at once.
    pub(crate) fn offer_many(&mut self, place: Place, service: &str, count: u32) {
        for _ in 1..count {
            self.add_offer(place, service, 10);
        }
        self.offer(place, service, 10);
    }

    pub(crate) fn withdraw_one(&mut self, place: Place) {
        let Some(living) = self.living.get_mut(&place) else {
            return;
        };
        living.offers.pop();
        let offers = living.offers.clone();
        self.handle(place, Event::Offers(offers));
    }
}
