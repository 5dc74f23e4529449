//! Follows a host name: asks for its addresses every second, and at once if someone wants to be sure.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::client::{Unanswered, ask};
use super::name_servers;
use super::resolution::{Networks, Resolution};
use crate::interface::{Addresses, IpType};

/// Time from one round of questions to the next, whatever the answers' time to live: Docker says 600 s and gives a freed
/// address to the next container.
const PERIOD: Duration = Duration::from_secs(1);

/// Minimum time from one round to the next, however often it is asked for.
const MIN_PERIOD: Duration = Duration::from_millis(50);

/// Time for the answers of a round; less than the period, so that a question that is lost delays none.
const ROUND_LIMIT: Duration = Duration::from_millis(900);

/// Who is asked, and which addresses count.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The name server; by default those of the system.
    pub server: Option<SocketAddr>,
    /// The networks whose addresses count; by default those that the interfaces are in, except loopback.
    pub networks: Option<Vec<IpNet>>,
}

/// The host names that are followed; groups with the same one share the questions.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    pub(crate) settings: Settings,
    running: HashMap<String, Weak<Lookup>>,
}

impl Lookups {
    /// Follows a host name. Must be called within a tokio runtime.
    pub(crate) fn follow(&mut self, host: &str, addresses: &Addresses) -> Arc<Lookup> {
        if let Some(running) = self.running.get(host).and_then(Weak::upgrade) {
            return running;
        }
        self.running.retain(|_, lookup| lookup.strong_count() > 0);
        let lookup = Arc::new(Lookup::start(host, self.settings.clone(), addresses.clone()));
        self.running.insert(host.to_owned(), Arc::downgrade(&lookup));
        lookup
    }
}

/// A host name that is followed until this is dropped.
#[derive(Debug)]
pub(crate) struct Lookup {
    host: Arc<str>,
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct Shared {
    /// The number of the last round that has begun.
    begun: AtomicU64,
    wanted: Notify,
    known: watch::Sender<Known>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    /// The number of the last round that has ended.
    round: u64,
    /// Whether any round had an answer.
    answered: bool,
    resolution: Resolution,
}

/// Whether a host name still leads to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirmation {
    /// It does.
    Present,
    /// It does not.
    Gone,
    /// It did, and now there is no answer.
    Unanswered,
}

impl Lookup {
    fn start(host: &str, settings: Settings, addresses: Addresses) -> Self {
        let shared = Arc::new(Shared {
            begun: AtomicU64::new(0),
            wanted: Notify::new(),
            known: watch::Sender::new(Known::default()),
        });
        let host: Arc<str> = host.into();
        let task = keep_asking(Arc::clone(&host), Arc::clone(&shared), settings, addresses);
        Self {
            host,
            shared,
            _task: AbortOnDropHandle::new(tokio::spawn(task)),
        }
    }

    /// The host name.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Adds addresses that another process of the sidecar knew, until there is an answer.
    pub(crate) fn remember(&self, mut addresses: BTreeSet<IpAddr>) {
        self.shared.known.send_if_modified(|known| {
            if !known.answered {
                addresses.extend(known.resolution.addresses());
                known.resolution = Resolution::remembered(addresses);
            }
            !known.answered
        });
    }

    /// The addresses as they change.
    pub(crate) fn subscribe(&self) -> Subscription {
        Subscription(self.shared.known.subscribe())
    }

    /// Asks again, and waits for the answer: whether the name leads to an address now.
    pub(crate) async fn confirm(&self, ip: IpAddr) -> Confirmation {
        let mut known = self.shared.known.subscribe();
        let begun = self.shared.begun.load(Ordering::Acquire);
        self.shared.wanted.notify_one();
        // A round that has begun already may have its answer from before.
        let Ok(known) = known.wait_for(|known| known.round > begun).await else {
            return Confirmation::Unanswered;
        };
        match known.resolution.addresses().contains(&ip) {
            false => Confirmation::Gone,
            true if known.resolution.confirms(ip) => Confirmation::Present,
            true => Confirmation::Unanswered,
        }
    }
}

/// The addresses of a host name, as they change.
#[derive(Debug)]
pub(crate) struct Subscription(watch::Receiver<Known>);

impl Subscription {
    /// The addresses; none before the first answer.
    pub(crate) fn addresses(&mut self) -> BTreeSet<IpAddr> {
        self.0.borrow_and_update().resolution.addresses().clone()
    }

    /// Waits until a round has ended. False if there will be no more.
    pub(crate) async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

async fn keep_asking(host: Arc<str>, shared: Arc<Shared>, settings: Settings, addresses: Addresses) {
    let mut networks = Networks::default();
    let mut servers = servers(&settings).await;
    let mut known_to_fail = false;
    loop {
        let started = Instant::now();
        let round = shared.begun.fetch_add(1, Ordering::AcqRel) + 1;
        // Without a table those of before hold.
        if let Ok(table) = addresses.table() {
            networks = Networks::new(&table, settings.networks.as_deref());
        }
        let ask = |family| {
            let (asked, servers, host) = (networks.has(family), &servers, &host);
            async move {
                match asked {
                    true => ask(servers, host, family, ROUND_LIMIT).await,
                    false => Ok(BTreeSet::new()),
                }
            }
        };
        let (v4, v6) = tokio::join!(ask(IpType::V4), ask(IpType::V6));
        let failure = v4.as_ref().err().or(v6.as_ref().err());
        log(&host, failure, &mut known_to_fail);
        let answered = failure.is_none();
        shared.known.send_modify(|known| {
            known.round = round;
            known.answered |= v4.is_ok() || v6.is_ok();
            known.resolution = known.resolution.after(v4.ok(), v6.ok(), &networks);
        });
        if !answered {
            // The file may have changed with the network.
            servers = self::servers(&settings).await;
        }
        tokio::select! {
            () = sleep_until(started + PERIOD) => {}
            () = shared.wanted.notified() => sleep_until(started + MIN_PERIOD).await,
        }
    }
}

/// Reports the first failure of several, and their end.
fn log(host: &str, failure: Option<&Unanswered>, known_to_fail: &mut bool) {
    match (failure, std::mem::replace(known_to_fail, failure.is_some())) {
        (Some(why), false) => {
            tracing::warn!(host, %why, "the host name is not resolved: its addresses stay as they were");
        }
        (None, true) => tracing::info!(host, "the host name is resolved again"),
        _ => {}
    }
}

/// The name servers to ask; none if the file that names them cannot be read, which is logged.
async fn servers(settings: &Settings) -> Vec<SocketAddr> {
    if let Some(server) = settings.server {
        return vec![server];
    }
    let read = || -> io::Result<String> {
        let mut text = Vec::new();
        let mut file = File::open(name_servers::FILE)?.take(name_servers::MAX_FILE);
        file.read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    };
    match tokio::task::spawn_blocking(read).await.map_err(io::Error::other) {
        Ok(Ok(text)) => name_servers::parse(&text),
        // As resolv.conf(5) has it, the file may be missing.
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => name_servers::parse(""),
        Ok(Err(error)) | Err(error) => {
            tracing::debug!(file = name_servers::FILE, %error, "cannot be read");
            Vec::new()
        }
    }
}
