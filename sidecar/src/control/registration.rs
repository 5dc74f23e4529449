//! Announces a local instance to the mesh while its port accepts connections. A check that cannot be made for a fault of
//! ours changes nothing.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use rand::RngExt;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::CommandError;
use super::local_listeners;
use super::offers::OwnOffers;
use super::spell::Spell;
use crate::balance::service::Offer;
use crate::dial::dial;
use crate::fault::{Fault, Shortage};
use crate::interface::{Addresses, Choice, Follow, IpType, Unusable};
use crate::limits::{BUDGET, CheckLane};
use crate::rtt::{CHECKS, RttEstimate};

/// The range that ports are allocated from, as in the original.
const PORTS: std::ops::Range<u16> = 10_000..30_000;
/// Random ports tried before giving up: far more than a busy machine needs.
const ALLOCATION_TRIES: usize = 256;
/// Least timeout for a check, which is an attempt to connect.
const CHECK_TIMEOUT: Duration = Duration::from_millis(500);
/// First interval between checks of an instance that does not listen yet; it doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(5);
/// Maximum interval between checks, and the interval while the instance is announced.
const MAX_PAUSE: Duration = Duration::from_millis(200);
/// Consecutive timeouts that withdraw an instance; a refused connection withdraws it at once.
const SILENT_CHECKS: u32 = 3;
/// Time of failing checks before a warning.
const WARN_AFTER: Duration = Duration::from_secs(3);

/// A local instance that is offered to the mesh. Dropping it withdraws the instance.
#[derive(Debug)]
pub(super) struct Registration {
    /// The instance at the address that its interface has now, or had last.
    offer: watch::Receiver<Offer>,
    offers: OwnOffers,
    ended: CancellationToken,
}

impl Registration {
    /// Starts checking the instance's address, which follows its interface's, and announces the instance as soon as it
    /// accepts a connection.
    pub(super) fn start(offer: Offer, interface: Follow, offers: OwnOffers) -> Self {
        let ended = CancellationToken::new();
        let (sender, offer) = watch::channel(offer);
        let watch = Watch {
            offer: sender,
            interface,
            offers: offers.clone(),
            ended: ended.clone(),
        };
        // Detached: it ends with the token, which the registration cancels when it is dropped.
        tokio::spawn(ended.clone().run_until_cancelled_owned(watch.run()));
        Self { offer, offers, ended }
    }

    /// The address of the instance now, or the last one if its interface has none.
    pub(super) fn address(&self) -> SocketAddr {
        self.offer.borrow().instance.address
    }

    /// Announces it before its first check, because an earlier process of the sidecar did.
    pub(super) fn resume(&self) {
        self.offers.announce(&self.offer.borrow(), &self.ended);
    }

    /// Whether it is announced to the mesh now.
    pub(super) fn is_announced(&self) -> bool {
        self.offers.contains(&self.offer.borrow())
    }

    /// Withdraws the instance for good; returns whether it was announced.
    pub(super) fn withdraw(&self) -> bool {
        self.ended.cancel();
        self.offers.withdraw(&self.offer.borrow())
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// The address of an instance: its interface's, and its port, or a free one that is not `taken` by another
/// registration.
///
/// # Errors
/// When there is no such interface or address, or no port is free.
pub(super) fn place(
    nic: &str,
    ip_type: IpType,
    port: Option<NonZeroU16>,
    addresses: &Addresses,
    taken: impl Fn(SocketAddr) -> bool,
) -> Result<SocketAddr, CommandError> {
    let found = addresses.of(nic, ip_type, None);
    let Choice { address: ip, .. } =
        found.map_err(|error| CommandError::refused(nic, format!("nic {nic}: {error}")))?;
    if let Some(port) = port {
        return Ok(SocketAddr::new(ip, port.get()));
    }
    free_address(ip, taken).map_err(|shortage| {
        let why = match shortage {
            Some(shortage) => shortage.to_string(),
            None => format!("no free port was found on {ip} in {}..{}", PORTS.start, PORTS.end),
        };
        CommandError::refused("port", why)
    })
}

/// Watches an instance and its interface.
struct Watch {
    offer: watch::Sender<Offer>,
    interface: Follow,
    offers: OwnOffers,
    ended: CancellationToken,
}

impl Watch {
    async fn run(mut self) {
        let mut pause = MIN_PAUSE;
        let mut silent = 0;
        let mut failing = Spell::new(WARN_AFTER);
        let mut rtt = RttEstimate::new(CHECKS);
        // The address may have changed since the instance was placed.
        if let Some(found) = self.interface.reported().cloned() {
            self.move_to(found).await;
        }
        loop {
            let offer = self.offer.borrow().clone();
            let started = Instant::now();
            match check(offer.instance.address, rtt.timeout(CHECK_TIMEOUT)).await {
                Check::Accepts => {
                    rtt.answered(started.elapsed());
                    self.offers.announce(&offer, &self.ended);
                    (pause, silent) = (MAX_PAUSE, 0);
                    failing.note(false, Instant::now());
                }
                Check::Refuses => {
                    failing.note(true, Instant::now());
                    let was_announced = self.offers.withdraw(&offer);
                    pause = if was_announced {
                        MIN_PAUSE
                    } else {
                        MAX_PAUSE.min(pause * 2)
                    };
                }
                Check::Silent => {
                    failing.note(true, Instant::now());
                    rtt.timed_out(started.elapsed());
                    silent += 1;
                    if silent >= SILENT_CHECKS {
                        self.offers.withdraw(&offer);
                    }
                    pause = MAX_PAUSE;
                }
                Check::NotMade(shortage) => {
                    tracing::warn!(
                        service = offer.id.service,
                        address = %offer.instance.address,
                        why = %shortage,
                        "a local service could not be checked: its announcement stays as it is"
                    );
                    pause = MAX_PAUSE;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = failing.overdue() => warn_of_failing(&offer).await,
                found = self.interface.changed() => {
                    self.move_to(found).await;
                    (pause, silent) = (MIN_PAUSE, 0);
                }
            }
        }
    }

    /// Withdraws the instance from an address that its interface no longer has, and waits until it has one.
    async fn move_to(&mut self, mut found: Result<Choice, Unusable>) {
        let Offer { id, instance } = self.offer.borrow().clone();
        let (service, before) = (id.service, instance.address);
        loop {
            let choice = match found {
                Ok(choice) if choice.address == before.ip() => return,
                found => {
                    self.offers.withdraw(&self.offer.borrow());
                    found
                }
            };
            match choice {
                Ok(Choice { nic, address, .. }) => {
                    let to = SocketAddr::new(address, before.port());
                    self.offer.send_modify(|offer| offer.instance.address = to);
                    tracing::info!(service, from = %before, %to, nic, "registration: the address has changed");
                    return;
                }
                Err(why) => {
                    tracing::warn!(service, address = %before, "registration: withdrawn: {why}");
                    found = self.interface.changed().await;
                }
            }
        }
    }
}

/// Warns that the checks of an instance fail, with what is listened on instead.
async fn warn_of_failing(offer: &Offer) {
    let address = offer.instance.address;
    let instead = tokio::task::spawn_blocking(move || local_listeners::instead_of(address)).await;
    tracing::warn!(
        service = offer.id.service,
        %address,
        "registration: not announced, because nothing accepts connections there; {}",
        instead.unwrap_or_default()
    );
}

#[derive(Debug)]
enum Check {
    Accepts,
    Refuses,
    Silent,
    /// Not made, for lack of something of ours.
    NotMade(Shortage),
}

async fn check(address: SocketAddr, limit: Duration) -> Check {
    let _share = BUDGET.check(CheckLane::Up).await;
    match tokio::time::timeout(limit, dial(address, None)).await {
        Ok(Ok(_)) => Check::Accepts,
        Ok(Err(error)) => match error.fault {
            Fault::Own(shortage) => Check::NotMade(shortage),
            Fault::Peer => Check::Refuses,
            Fault::TimedOut | Fault::Unreachable => Check::Silent,
        },
        Err(_) => Check::Silent,
    }
}

/// An address with a port of the range at which nothing listens now; an error if there is none, with the reason if no port
/// could be tried.
fn free_address(ip: IpAddr, taken: impl Fn(SocketAddr) -> bool) -> Result<SocketAddr, Option<Shortage>> {
    let mut rng = rand::rng();
    for _ in 0..ALLOCATION_TRIES {
        let address = SocketAddr::new(ip, rng.random_range(PORTS));
        if taken(address) {
            continue;
        }
        match std::net::TcpListener::bind(address).map_err(|error| Fault::of(&error)) {
            Ok(_) => return Ok(address),
            Err(Fault::Own(shortage)) if shortage.is_general() => return Err(Some(shortage)),
            Err(_) => {}
        }
    }
    Err(None)
}
