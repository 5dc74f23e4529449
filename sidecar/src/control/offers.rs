//! The list of local instances that are announced to the mesh.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::balance::service::{Offer, ServiceId};

/// The list of local instances that are announced to the mesh; clones share it. Two registrations may offer the same
/// instance: it is listed once, as the first of them announced it, until both have withdrawn it.
#[derive(Debug, Clone)]
pub struct Offers {
    /// What each registration announces, in the order in which they did.
    announced: Arc<Mutex<Vec<(String, Offer)>>>,
    list: watch::Sender<Vec<Offer>>,
}

impl Default for Offers {
    fn default() -> Self {
        Self::new()
    }
}

impl Offers {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self {
            announced: Arc::default(),
            list: watch::Sender::new(Vec::new()),
        }
    }

    /// The list as it changes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Vec<Offer>> {
        self.list.subscribe()
    }

    /// The share of a registration, by its name.
    pub(super) fn of(&self, registration: &str) -> OwnOffers {
        OwnOffers {
            registration: registration.to_owned(),
            offers: self.clone(),
        }
    }

    /// The registration that announces the same instance, if one does.
    pub(super) fn announcing(&self, offer: &Offer) -> Option<String> {
        let announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        let same = announced
            .iter()
            .find(|(_, other)| instance(other) == instance(offer));
        same.map(|(registration, _)| registration.clone())
    }

    /// Changes what is announced; returns whether `change` did.
    fn change(&self, change: impl FnOnce(&mut Vec<(String, Offer)>) -> bool) -> bool {
        let mut announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut announced);
        if changed {
            let mut seen = HashSet::new();
            let offers = announced.iter().map(|(_, offer)| offer);
            let list: Vec<Offer> = offers
                .filter(|offer| seen.insert(instance(offer)))
                .cloned()
                .collect();
            self.list.send_if_modified(|before| {
                let differs = *before != list;
                *before = list;
                differs
            });
        }
        changed
    }
}

/// What one registration announces.
#[derive(Debug, Clone)]
pub(super) struct OwnOffers {
    registration: String,
    offers: Offers,
}

impl OwnOffers {
    /// Announces an instance, unless its registration has ended. The token is checked under the list's lock, so that
    /// nothing is announced after [`Self::withdraw`].
    pub(super) fn announce(&self, offer: &Offer, ended: &CancellationToken) {
        self.offers.change(|announced| {
            if ended.is_cancelled() || announced.iter().any(|other| self.is_own(other, offer)) {
                return false;
            }
            announced.push((self.registration.clone(), offer.clone()));
            true
        });
    }

    /// Withdraws an instance; returns whether it was announced.
    pub(super) fn withdraw(&self, offer: &Offer) -> bool {
        self.offers.change(|announced| {
            let before = announced.len();
            announced.retain(|other| !self.is_own(other, offer));
            announced.len() < before
        })
    }

    pub(super) fn contains(&self, offer: &Offer) -> bool {
        let announced = self.offers.announced.lock();
        let announced = announced.unwrap_or_else(PoisonError::into_inner);
        announced.iter().any(|other| self.is_own(other, offer))
    }

    fn is_own(&self, (registration, other): &(String, Offer), offer: &Offer) -> bool {
        *registration == self.registration && other == offer
    }
}

/// What makes an instance the same as another.
fn instance(offer: &Offer) -> (&ServiceId, SocketAddr) {
    (&offer.id, offer.instance.address)
}
