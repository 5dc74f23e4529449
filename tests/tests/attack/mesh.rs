//! The example mesh in network namespaces: five sidecars with their programs, configured as the Compose file does.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use harness::wait;
use serde_json::Value;
use tempfile::TempDir;
use tests::compiled;
use tokio::net::TcpStream;

use crate::http;
use crate::namespace::{Host, METADATA, Network};
use crate::trap::Trap;

/// Limit of a wait.
const DEADLINE: Duration = Duration::from_secs(60);
const PERIOD: Duration = Duration::from_millis(20);
pub(crate) const STATUS: u16 = 9090;
/// Sidecars of this path, with what failpoints they have, are used instead of newly compiled ones.
const SIDECAR: &str = "MESH_ATTACK_SIDECAR";

const MEMBERS: [(&str, u8, &[&str]); 5] = [
    ("frontend", 11, &["frontend"]),
    ("a1", 12, &["service", "a"]),
    ("a2", 13, &["service", "a"]),
    ("b", 14, &["service", "b"]),
    ("lb", 15, &[]),
];

/// A sidecar, with its program and its host; killed when dropped.
pub(crate) struct Member {
    pub(crate) host: Host,
    process: Child,
    log: PathBuf,
}

/// Resources that a sidecar uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Resident memory, in KiB.
    pub(crate) memory: u64,
    /// Open descriptors.
    pub(crate) descriptors: u64,
}

impl Member {
    /// An address of its status page.
    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        (self.host.address, port).into()
    }

    /// Gives it a command by its HTTP controller.
    pub(crate) async fn command(&self, method: &str, resource: &str, body: &Value) -> http::Answer {
        let stream = self.host.connect((Ipv4Addr::LOCALHOST, 18080)).await.unwrap();
        let path = format!("/api/v1/module/{resource}");
        http::ask(stream, &http::request(method, &path, &body.to_string()))
            .await
            .unwrap()
    }

    /// Waits until its status page answers.
    pub(crate) async fn answers(&self) {
        eventually("it answers", async || {
            self.view().await.is_null().then(|| self.log())
        })
        .await;
    }

    /// A page of its status listener; empty while it does not answer.
    async fn page(&self, path: &str) -> String {
        let page = async {
            let stream = TcpStream::connect(self.at(STATUS)).await?;
            http::ask(stream, &http::request("GET", path, "")).await
        };
        let page = tokio::time::timeout(Duration::from_secs(10), page).await;
        page.ok()
            .and_then(Result::ok)
            .map_or_else(String::new, |(_, body)| body)
    }

    /// The mesh as it sees it; null while it does not answer.
    pub(crate) async fn view(&self) -> Value {
        serde_json::from_str(&self.page("/mesh").await).unwrap_or_default()
    }

    /// The sum of the samples of a metric.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let page = self.page("/metrics").await;
        let samples = page.lines().filter(|line| line.starts_with(name));
        samples
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
            .sum()
    }

    /// The instances of a service of the example that it knows, as `address:port`.
    pub(crate) async fn instances(&self, service: &str) -> Vec<String> {
        let (view, name) = (self.view().await, format!("my-service-{service}"));
        let services = view["services"].as_array().cloned().unwrap_or_default();
        let mut found = services.iter().filter(|it| it["service"] == *name);
        let instances = found.next().and_then(|it| it["instances"].as_array().cloned());
        let text = |it: &Value| format!("{}:{}", it["address"].as_str().unwrap_or_default(), it["port"]);
        instances.unwrap_or_default().iter().map(text).collect()
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn usage(&self) -> Usage {
        let process = Path::new("/proc").join(self.process.id().to_string());
        let status = std::fs::read_to_string(process.join("status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory = resident.and_then(|it| it.trim().strip_suffix(" kB")?.parse().ok());
        Usage {
            memory: memory.unwrap(),
            descriptors: std::fs::read_dir(process.join("fd")).unwrap().count() as u64,
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = self.log();
            let skipped = log.lines().count().saturating_sub(15);
            let last: Vec<&str> = log.lines().skip(skipped).collect();
            println!("the end of {}'s log:\n{}\n", self.host.name, last.join("\n"));
        }
    }
}

/// The compiled programs, and the files of their processes.
pub(crate) struct Programs {
    sidecar: PathBuf,
    services: PathBuf,
    files: TempDir,
}

impl Programs {
    pub(crate) async fn compiled() -> Self {
        let sidecar = match std::env::var_os(SIDECAR) {
            Some(path) => path.into(),
            None => compiled("sidecar").await.unwrap(),
        };
        Self {
            sidecar,
            services: compiled("example-services").await.unwrap(),
            files: tempfile::tempdir().unwrap(),
        }
    }

    /// A file with this text.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Starts a sidecar on a host, with one of the example's programs or none, configured as the Compose file does, and with
    /// more arguments.
    pub(crate) fn start(&self, host: Host, program: &[&str], arguments: &[&OsStr]) -> Member {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/config");
        let log = self.files.path().join(format!("{}.log", host.name));
        let mut command = host.command(&self.sidecar);
        let commands = config.join(format!("{}.conf", host.name));
        if commands.exists() {
            command.arg("--load").arg(commands);
        }
        command
            .arg("--discovery-config")
            .arg(config.join("discovery.conf"))
            .args(["--http-controller", "127.0.0.1:18080", "--status", "0.0.0.0:9090"])
            .arg("--end-with-stdin")
            .args(arguments);
        if !program.is_empty() {
            command.arg("--").arg(&self.services).args(program);
        }
        let process = command
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Member { host, process, log }
    }
}

/// The five members, a host that attacks, and one that has nothing to do with the mesh.
pub(crate) struct Mesh {
    pub(crate) network: Network,
    pub(crate) frontend: Member,
    pub(crate) a1: Member,
    pub(crate) a2: Member,
    pub(crate) b: Member,
    pub(crate) lb: Member,
    pub(crate) attacker: Host,
    pub(crate) bystander: Host,
    pub(crate) programs: Programs,
}

impl Mesh {
    /// Starts the mesh, and waits until each service's instances are known everywhere and answer.
    pub(crate) async fn start(network: Network) -> Self {
        Self::start_with(network, Programs::compiled().await, &[]).await
    }

    /// As [`Mesh::start`], with more arguments of each sidecar.
    pub(crate) async fn start_with(network: Network, programs: Programs, arguments: &[&OsStr]) -> Self {
        let [frontend, a1, a2, b, lb] = MEMBERS.map(|(name, last, program)| {
            let host = network.host(name, address(last));
            programs.start(host, program, arguments)
        });
        let bystander = network.host("bystander", address(99));
        bystander.run(&format!("ip addr add {METADATA}/32 dev eth0"));
        let mesh = Self {
            attacker: network.host("attacker", address(66)),
            network,
            frontend,
            a1,
            a2,
            b,
            lb,
            bystander,
            programs,
        };
        mesh.ready().await;
        mesh
    }

    pub(crate) fn members(&self) -> [&Member; 5] {
        [&self.frontend, &self.a1, &self.a2, &self.b, &self.lb]
    }

    pub(crate) fn addresses(&self) -> Vec<Ipv4Addr> {
        self.members().map(|it| it.host.address).to_vec()
    }

    /// The URLs by which users reach the services: target, path, service.
    pub(crate) fn paths(&self) -> [(SocketAddr, &'static str, &'static str); 5] {
        let (frontend, lb) = (&self.frontend, &self.lb);
        [
            (frontend.at(8080), "/service-a", "a"),
            (frontend.at(8080), "/service-b", "b"),
            (frontend.at(8080), "/service-a?via=lb", "a"),
            (lb.at(8081), "/", "a"),
            (lb.at(8082), "/", "b"),
        ]
    }

    /// Waits until each service's instances are known everywhere, and answer on each path.
    async fn ready(&self) {
        eventually(
            "each sidecar knows all instances, and each path answers",
            async || {
                for member in self.members() {
                    for (service, count) in [("a", 2), ("b", 1)] {
                        let known = member.instances(service).await;
                        if known.len() != count {
                            return Some(format!("{} knows {known:?} of {service}", member.host.name));
                        }
                    }
                }
                for (target, path, _) in self.paths() {
                    match harness::http::get(target, path, DEADLINE).await {
                        Ok(answer) if answer.status == 200 => {}
                        other => return Some(format!("{target}{path}: {other:?}")),
                    }
                }
                None
            },
        )
        .await;
    }

    /// Waits until every member knows the honest instance of this service.
    pub(crate) async fn all_know(&self, service: &str) {
        eventually("what the liar says is known everywhere", async || {
            for member in self.members() {
                if member.instances(service).await.is_empty() {
                    let view = member.view().await;
                    return Some(format!(
                        "{} knows no {service}: {}",
                        member.host.name, view["nodes"]
                    ));
                }
            }
            None
        })
        .await;
    }

    /// A trap on a member's own host, on all its addresses.
    pub(crate) fn trap_at(&self, member: &Member, port: u16) -> Trap {
        let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let v6 = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port));
        Trap::at(&member.host, &[v4, v6])
    }
}

/// An address of the network.
pub(crate) fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, last)
}

/// Polls until nothing is missing; panics with what is missing after the deadline.
pub(crate) async fn eventually(what: &str, missing: impl AsyncFnMut() -> Option<String>) {
    eventually_within(DEADLINE, what, missing).await;
}

/// As [`eventually`], with a deadline of its own.
pub(crate) async fn eventually_within(
    deadline: Duration,
    what: &str,
    mut missing: impl AsyncFnMut() -> Option<String>,
) {
    let attempt = async || match missing().await {
        None => Ok(()),
        Some(missing) => Err(vec![missing]),
    };
    if let Err(error) = wait::until(deadline, PERIOD, attempt, |_| {}).await {
        panic!("not within {deadline:?}: {what}: {error}");
    }
}
