//! Has the control plane do what a waypoint is told, and opens and closes the ports. It sleeps while nothing about the file
//! or the endpoints changes, because a project has many waypoints and most are idle.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::config::{Config, Port, Target};
use super::plan::{self, Gate, Listening, Ports, Present, Step};
use super::reader::{Reader, Told};
use crate::balance::Outlook;
use crate::control::Controller;

/// Time after which commands that failed are tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Runs a waypoint until it is dropped. It listens on `ip`; by default on all addresses of both families.
pub(crate) async fn run(controller: Arc<Controller>, target: Target, ip: Option<IpAddr>) {
    let mut waypoint = Waypoint {
        controller,
        ip: ip.unwrap_or_else(any_address),
        wanted: None,
        doors: BTreeMap::new(),
        changed: Arc::default(),
        failed: BTreeSet::new(),
        failed_before: BTreeSet::new(),
    };
    let mut reader = match target {
        Target::Fixed(config) => {
            waypoint.take_up(Ok(config));
            None
        }
        Target::File(path) => Some(Reader::start(path)),
    };
    loop {
        let due = waypoint.look().await;
        let told = async {
            match &mut reader {
                Some(reader) => reader.next().await,
                None => pending().await,
            }
        };
        tokio::select! {
            told = told => waypoint.take_up(told),
            () = waypoint.changed.notified() => {}
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
        }
    }
}

struct Waypoint {
    controller: Arc<Controller>,
    ip: IpAddr,
    wanted: Option<Config>,
    doors: BTreeMap<String, Door>,
    /// Notified when what a connection to a port can expect has changed.
    changed: Arc<Notify>,
    /// Commands that failed at the last look: the log has each once.
    failed: BTreeSet<String>,
    /// Those of the look before.
    failed_before: BTreeSet<String>,
}

/// What decides whether a port is open.
struct Door {
    gate: Gate,
    outlook: watch::Receiver<Outlook>,
    _follower: AbortOnDropHandle<()>,
}

impl Door {
    fn start(outlook: watch::Receiver<Outlook>, changed: Arc<Notify>) -> Self {
        let mut followed = outlook.clone();
        let follower = async move {
            while followed.changed().await.is_ok() {
                changed.notify_one();
            }
        };
        Self {
            gate: Gate::default(),
            outlook,
            _follower: AbortOnDropHandle::new(tokio::spawn(follower)),
        }
    }

    fn step(&mut self, is_open: bool, port: &Port) -> Step {
        let usable = *self.outlook.borrow() == Outlook::Good;
        let hold = Duration::from_millis(port.hold);
        self.gate.step(is_open, usable, hold, Instant::now().into_std())
    }
}

impl Waypoint {
    /// Takes up what it is told; if that cannot be read, what it was told before stays.
    fn take_up(&mut self, told: Told) {
        match told {
            Ok(config) => {
                tracing::info!(
                    host = config.host,
                    ports = config.ports.len(),
                    "the waypoint is configured"
                );
                self.wanted = Some(config);
            }
            Err(why) if self.wanted.is_some() => tracing::warn!("{why}; what it said before stays"),
            Err(why) => tracing::warn!("{why}; nothing is listened on until it can be read"),
        }
    }

    /// Does what it is told, as far as it is not done yet. Returns when to look again, even if nothing changes.
    async fn look(&mut self) -> Option<Instant> {
        let wanted = self.wanted.take()?;
        self.failed_before = std::mem::take(&mut self.failed);
        for command in plan::commands(&wanted, &self.present()) {
            self.execute(&command).await;
        }
        let present = self.present();
        self.doors.retain(|name, _| present.contains_key(name));
        let mut due = None;
        for port in &wanted.ports {
            due = due
                .into_iter()
                .chain(self.look_at(&wanted, port, &present).await)
                .min();
        }
        self.wanted = Some(wanted);
        let retry = (!self.failed.is_empty()).then(|| Instant::now() + RETRY);
        due.into_iter().chain(retry).min()
    }

    /// Opens or closes a port, if it is time. Returns when it will be time to close it, unless that changes.
    async fn look_at(&mut self, wanted: &Config, port: &Port, present: &Ports) -> Option<Instant> {
        let name = plan::name(&wanted.host, port.port);
        let Present { open, .. } = present.get(&name)?;
        if !self.doors.contains_key(&name) {
            let outlook = self.controller.watch_outlook(&name)?;
            let door = Door::start(outlook, Arc::clone(&self.changed));
            self.doors.insert(name.clone(), door);
        }
        let (command, said) = match self.doors.get_mut(&name)?.step(open.is_some(), port) {
            Step::Open => (
                plan::open(&name, self.ip, port),
                "an endpoint accepts connections: the port is open",
            ),
            Step::Close => (
                plan::close(&name),
                "no endpoint accepts connections: the port is closed",
            ),
            Step::Stay(until) => return until.map(Instant::from_std),
        };
        if self.execute(&command).await {
            tracing::info!(port = port.port, protocol = %port.protocol, "{said}");
        }
        None
    }

    /// What the control plane has.
    fn present(&self) -> Ports {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let listeners = self.controller.listeners().into_iter();
        let open = listeners.map(|it| {
            let settings = Listening {
                hold: millis(it.hold),
                idle_timeout: millis(it.idle_timeout),
                protocol: it.protocol.unwrap_or_default(),
            };
            (it.backend, settings)
        });
        let mut open: BTreeMap<String, Listening> = open.collect();
        let groups = self.controller.groups().into_iter();
        let present = groups.map(|group| {
            let open = open.remove(&group.name);
            let check = group.check_kind.to_string();
            (group.name, Present { check, open })
        });
        present.collect()
    }

    /// Executes a command. Returns whether it took effect.
    async fn execute(&mut self, command: &str) -> bool {
        let outcome = match command.parse() {
            Ok(parsed) => self.controller.execute(parsed).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(_) => true,
            Err(error) => {
                if !self.failed_before.contains(command) {
                    tracing::warn!("{error} ({command})");
                }
                self.failed.insert(command.to_owned());
                false
            }
        }
    }
}

/// All addresses of both families, or of IPv4 on a machine without IPv6.
fn any_address() -> IpAddr {
    let both = || -> std::io::Result<()> {
        let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
        socket.set_only_v6(false)?;
        socket.bind(&std::net::SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into())
    };
    match both() {
        Ok(()) => Ipv6Addr::UNSPECIFIED.into(),
        Err(_) => Ipv4Addr::UNSPECIFIED.into(),
    }
}
