//! The list of local instances that are announced to the mesh.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::balance::service::Offer;

/// The list of local instances that are announced to the mesh; clones share it.
#[derive(Debug, Clone)]
pub struct Offers(watch::Sender<Vec<Offer>>);

impl Default for Offers {
    fn default() -> Self {
        Self::new()
    }
}

impl Offers {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }

    /// The list as it changes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Vec<Offer>> {
        self.0.subscribe()
    }

    /// Announces an instance, unless its registration has ended. The token is checked under the list's lock, so that
    /// nothing is announced after [`Self::withdraw`].
    pub(super) fn announce(&self, offer: &Offer, ended: &CancellationToken) {
        self.0.send_if_modified(|offers| {
            if ended.is_cancelled() || offers.contains(offer) {
                return false;
            }
            offers.push(offer.clone());
            true
        });
    }

    /// Withdraws an instance; returns whether it was announced.
    pub(super) fn withdraw(&self, offer: &Offer) -> bool {
        self.0.send_if_modified(|offers| {
            let before = offers.len();
            offers.retain(|o| o != offer);
            offers.len() < before
        })
    }

    pub(super) fn contains(&self, offer: &Offer) -> bool {
        self.0.borrow().contains(offer)
    }
}
