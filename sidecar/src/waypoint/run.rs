//! The loop of a waypoint: reads what it is told, and has the control plane do it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::time::{Instant, sleep};

use super::config::{Config, Target};
use super::plan::{self, Gate, Ports, Present, Step};
use crate::balance::Outlook;
use crate::control::Controller;
use crate::text_file;

/// Interval at which the file is read. Events of a file system do not cross virtual machines.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Interval at which the endpoints are looked at while a port is closed: how soon after its first one it opens.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The same while all ports are open: how late one closes. Longer, because an idle waypoint should cost little.
const LOOK_EVERY_IF_OPEN: Duration = Duration::from_millis(500);

/// Runs a waypoint until it is dropped. It listens on `ip`; by default on all addresses of both families.
pub(crate) async fn run(controller: Arc<Controller>, target: Target, ip: Option<IpAddr>) {
    let mut waypoint = Waypoint {
        controller,
        ip: ip.unwrap_or_else(any_address),
        wanted: None,
        gates: BTreeMap::new(),
        said: BTreeSet::new(),
    };
    let mut read: Option<Instant> = None;
    loop {
        if read.is_none_or(|read| read.elapsed() >= READ_EVERY) {
            read = Some(Instant::now());
            waypoint.read(&target).await;
        }
        let all_open = waypoint.look().await;
        sleep(if all_open { LOOK_EVERY_IF_OPEN } else { LOOK_EVERY }).await;
    }
}

struct Waypoint {
    controller: Arc<Controller>,
    ip: IpAddr,
    wanted: Option<Config>,
    gates: BTreeMap<String, Gate>,
    /// Problems that the log has, each once until there is none.
    said: BTreeSet<String>,
}

impl Waypoint {
    /// Takes up what it is told.
    async fn read(&mut self, target: &Target) {
        let told = match target {
            Target::Fixed(config) => Ok(config.clone()),
            Target::File(path) => read_file(path).await,
        };
        let config = match told {
            Ok(config) => config,
            Err(why) => {
                let goes_on = match self.wanted {
                    Some(_) => "what it said before stays",
                    None => "nothing is listened on until it can be read",
                };
                return self.say(format!("{why}; {goes_on}"));
            }
        };
        if self.wanted.as_ref() != Some(&config) {
            tracing::info!(
                host = config.host,
                ports = config.ports.len(),
                "the waypoint is configured"
            );
            self.said.clear();
        }
        for command in plan::commands(&config, &self.present()) {
            self.execute(&command).await;
        }
        self.wanted = Some(config);
    }

    /// Opens and closes ports. Returns whether all were open already.
    async fn look(&mut self) -> bool {
        let Some(wanted) = self.wanted.take() else {
            return false;
        };
        let mut all_open = true;
        let present = self.present();
        self.gates.retain(|name, _| present.contains_key(name));
        for port in &wanted.ports {
            let name = plan::name(&wanted.host, port.port);
            let Some(Present { open, .. }) = present.get(&name) else {
                continue;
            };
            all_open &= open.is_some();
            let usable = self.controller.outlook(&name) == Outlook::Good;
            let hold = Duration::from_millis(port.hold);
            let gate = self.gates.entry(name.clone()).or_default();
            match gate.step(open.is_some(), usable, hold, Instant::now().into_std()) {
                Step::Open => {
                    if self.execute(&plan::open(&name, self.ip, port)).await {
                        tracing::info!(
                            port = port.port,
                            "an endpoint accepts connections: the port is open"
                        );
                    }
                }
                Step::Close => {
                    if self.execute(&plan::close(&name)).await {
                        tracing::info!(
                            port = port.port,
                            "no endpoint accepts connections: the port is closed"
                        );
                    }
                }
                Step::Stay => {}
            }
        }
        self.wanted = Some(wanted);
        all_open
    }

    /// What the control plane has.
    fn present(&self) -> Ports {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let listeners = self.controller.listeners().into_iter();
        let open = listeners.map(|it| (it.backend, (millis(it.hold), millis(it.idle_timeout))));
        let mut open: BTreeMap<String, (u64, u64)> = open.collect();
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
                self.say(format!("{error} ({command})"));
                false
            }
        }
    }

    /// Warns of a problem, once.
    fn say(&mut self, problem: String) {
        if !self.said.contains(&problem) {
            tracing::warn!("{problem}");
            self.said.insert(problem);
        }
    }
}

async fn read_file(path: &Path) -> Result<Config, String> {
    let file = path.to_owned();
    let text = tokio::task::spawn_blocking(move || text_file::read(&file)).await;
    let text = text.map_err(|error| error.to_string())?;
    let text = text.map_err(|error| format!("{:#}", anyhow::Error::from(error)))?;
    Config::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
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
