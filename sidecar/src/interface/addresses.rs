//! The addresses of the machine's interfaces, watched.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::kernel::{self, Changes};
use super::{Choice, InterfaceError, IpType, Networks, Pinned, Reason, Table, Unusable};

/// Wait after a notification, so that the changes that belong together are read once.
const SETTLE: Duration = Duration::from_millis(20);
/// Reading takes at most 1 / this of the time on a machine whose interfaces change all the time.
const READING_SHARE: u32 = 20;
/// Interval between two readings where the kernel does not send notifications.
const POLL: Duration = Duration::from_millis(500);
/// Limit of the wait for duplicate address detection, which takes about 2 s with the kernel's defaults.
const DETECTION: Duration = Duration::from_secs(10);
/// Interval between two looks at an address that nothing watches.
const LOOK: Duration = Duration::from_millis(50);

/// The addresses of the machine's interfaces. Clones share what is known.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    pinned: Option<Pinned>,
    /// `None` reads them for each question.
    table: Option<watch::Receiver<Arc<Table>>>,
}

impl Table {
    fn read() -> io::Result<Self> {
        kernel::interfaces().map(Self::new)
    }
}

/// Whether the interface that has this address is up now or, without an address, any interface other than loopback. False
/// if the system does not list them.
pub(crate) fn is_up(address: Option<IpAddr>) -> bool {
    Table::read().is_ok_and(|table| table.is_up(address))
}

impl Addresses {
    /// Addresses that are read when asked for; `pinned` is not looked up.
    #[must_use]
    pub fn unwatched(pinned: Option<Pinned>) -> Self {
        Self { pinned, table: None }
    }

    /// Watches the addresses; `expected` is an interface that another one may stand in for even if it was never
    /// there. Must be called within a tokio runtime.
    #[must_use]
    pub fn watch(pinned: Option<Pinned>, expected: Option<&str>) -> Self {
        // Before the first reading, so that no change is lost.
        let changes = Changes::subscribe();
        let table = match Table::read() {
            Ok(table) => expected.into_iter().fold(table, Table::expecting),
            Err(error) => {
                tracing::warn!(%error, "the addresses of network interfaces cannot be read: changes go unnoticed");
                return Self::unwatched(pinned);
            }
        };
        if let Err(error) = &changes {
            tracing::warn!(%error, every = ?POLL, "the kernel reports no changes of addresses: they are polled");
        }
        let (sender, table) = watch::channel(Arc::new(table));
        // Detached: it ends when the last receiver is dropped.
        tokio::spawn(keep_reading(sender, changes.ok()));
        Self {
            pinned,
            table: Some(table),
        }
    }

    /// The table now.
    pub(crate) fn table(&self) -> Result<Arc<Table>, InterfaceError> {
        match &self.table {
            Some(table) => Ok(Arc::clone(&table.borrow())),
            None => Ok(Arc::new(Table::read()?)),
        }
    }

    /// The address of this family to use for an interface; `current` is the one in use.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(&self, nic: &str, ip_type: IpType, current: Option<&Choice>) -> Result<Choice, InterfaceError> {
        let Some(pinned) = self.pinned.as_ref().filter(|pinned| pinned.nic == nic) else {
            return Ok(self.table()?.choose(nic, ip_type, current)?);
        };
        if IpType::of(pinned.address) != ip_type {
            return Err(Unusable::NoAddress {
                nic: nic.to_owned(),
                ip_type,
                others: Default::default(),
            }
            .into());
        }
        Ok(Choice {
            nic: nic.to_owned(),
            address: pinned.address,
            tentative: self.table().is_ok_and(|table| table.is_tentative(pinned.address)),
            reason: Reason::Configured,
        })
    }

    /// Whether an interface that is up has this address now. True if that is unknown.
    #[must_use]
    pub fn has(&self, ip: IpAddr) -> bool {
        self.table().map_or(true, |table| table.has(ip))
    }

    /// The addresses and networks of all interfaces now. Empty if they cannot be read.
    #[must_use]
    pub fn networks(&self) -> Networks {
        let table = self.table();
        table.map_or_else(|_| Networks::default(), |table| Networks::of(&table))
    }

    /// Waits until the interfaces change. Cancel-safe; never ends if they are not watched.
    pub async fn changed(&mut self) {
        if let Some(table) = &mut self.table
            && table.changed().await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }

    /// Follows the address to use for an interface.
    #[must_use]
    pub fn follow(&self, nic: &str, ip_type: IpType) -> Follow {
        let mut follow = Follow {
            addresses: self.clone(),
            nic: nic.to_owned(),
            ip_type,
            current: None,
            reported: None,
        };
        // What there is now is kept if more comes.
        let _ = follow.now();
        follow
    }
}

async fn keep_reading(table: watch::Sender<Arc<Table>>, mut changes: Option<Changes>) {
    let mut readable = true;
    loop {
        tokio::select! {
            () = table.closed() => return,
            () = change(&mut changes), if readable => {}
            // Whatever the last notification was about is still to be read.
            () = sleep(POLL), if !readable => {}
        }
        let begin = Instant::now();
        match kernel::interfaces() {
            Ok(interfaces) => {
                readable = true;
                table.send_if_modified(|held| {
                    let next = held.followed_by(interfaces);
                    let changed = **held != next;
                    if changed {
                        *held = Arc::new(next);
                    }
                    changed
                });
            }
            Err(error) => {
                if std::mem::replace(&mut readable, false) {
                    tracing::warn!(%error, "the addresses of network interfaces cannot be read; trying again");
                }
            }
        }
        sleep(begin.elapsed() * READING_SHARE).await;
    }
}

/// Waits until the addresses are to be read again.
async fn change(changes: &mut Option<Changes>) {
    let Some(notified) = changes else {
        return sleep(POLL).await;
    };
    match notified.next().await {
        Ok(()) => sleep(SETTLE).await,
        Err(error) => {
            tracing::warn!(%error, every = ?POLL, "the kernel reports no more changes of addresses: they are polled");
            *changes = None;
        }
    }
}

/// Follows the address to use for one interface.
#[derive(Debug)]
pub struct Follow {
    addresses: Addresses,
    nic: String,
    ip_type: IpType,
    /// The choice in use; kept while there is none, so that it is taken again if it comes back.
    current: Option<Choice>,
    reported: Option<Result<Choice, Unusable>>,
}

impl Follow {
    /// The name of the interface followed.
    #[must_use]
    pub fn nic(&self) -> &str {
        &self.nic
    }

    /// What was reported last; `None` if the interfaces could not be listed.
    #[must_use]
    pub fn reported(&self) -> Option<&Result<Choice, Unusable>> {
        self.reported.as_ref()
    }

    /// The address to use now, if it can be bound.
    ///
    /// # Errors
    /// When there is none.
    pub fn now(&mut self) -> Result<Choice, InterfaceError> {
        if let Some(table) = &mut self.addresses.table {
            table.mark_unchanged();
        }
        let found = self.addresses.of(&self.nic, self.ip_type, self.current.as_ref());
        let found = match found.map(Choice::bindable) {
            Ok(found) => found,
            Err(InterfaceError::Unusable(why)) => Err(why),
            Err(error) => return Err(error),
        };
        if let Ok(choice) = &found {
            self.current = Some(choice.clone());
        }
        self.reported = Some(found.clone());
        Ok(found?)
    }

    /// As [`Self::now`], but waits while the address is in duplicate address detection, at most 10 s.
    ///
    /// # Errors
    /// When there is none, or the detection has not ended by then.
    pub async fn settled(&mut self) -> Result<Choice, InterfaceError> {
        let mut found = self.now();
        let deadline = Instant::now() + DETECTION;
        while let Err(InterfaceError::Unusable(why @ Unusable::Tentative { .. })) = &found {
            tracing::info!("{why}: waiting for its end");
            let Ok(next) = tokio::time::timeout_at(deadline, self.changed()).await else {
                break;
            };
            found = next.map_err(InterfaceError::from);
        }
        found
    }

    /// Waits until the address to use differs from the one reported last. Cancel-safe; never ends if the addresses
    /// are not watched.
    ///
    /// # Errors
    /// When there is no address any more.
    pub async fn changed(&mut self) -> Result<Choice, Unusable> {
        loop {
            let changed = match &mut self.addresses.table {
                Some(table) => table.changed().await.is_ok(),
                None => false,
            };
            if !changed {
                return std::future::pending().await;
            }
            let before = self.reported.take();
            match self.now() {
                Ok(choice) if before.as_ref() != Some(&Ok(choice.clone())) => return Ok(choice),
                Err(InterfaceError::Unusable(why)) if before.as_ref() != Some(&Err(why.clone())) => {
                    return Err(why);
                }
                _ => {}
            }
        }
    }
}

/// Waits while an address is in duplicate address detection, at most 10 s, so that it can be bound.
pub async fn wait_until_unique(address: IpAddr) {
    let is_tentative = || Table::read().is_ok_and(|table| table.is_tentative(address));
    if address.is_ipv4() || !is_tentative() {
        return;
    }
    tracing::info!(%address, "still in duplicate address detection: waiting for its end");
    let waiting = async {
        while is_tentative() {
            sleep(LOOK).await;
        }
    };
    // Binding it reports the error if it is not usable by then.
    let _ = timeout(DETECTION, waiting).await;
}
