//! A sidecar in a namespace: its files, its pages, its log.

use std::fs::File;
use std::process::{Child, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::world::{Namespace, eventually};

/// The port of the HTTP controller, which serves as the instance of the service `s`. The namespace is the node's own.
pub(crate) const SERVICE: u16 = 8080;
const STATUS: &str = "127.0.0.1:9000";
/// The load balancer in front of the instances of the service.
pub(crate) const BALANCER: &str = "127.0.0.1:8081";

const OFFER: &str = "add smart-node-delegate d service s zone z nic eth0 port 8080\n";
const BALANCE: &str = "add server-group g timeout 500 period 200 up 1 down 3
add server-groups gs
add server-group g to server-groups gs weight 10
add smart-group-delegate d service s zone z server-group g
add tcp-lb lb address 127.0.0.1:8081 server-groups gs
";

/// A running sidecar; killed when dropped.
pub(crate) struct Node {
    pub(crate) machine: Namespace,
    process: Child,
    directory: TempDir,
}

impl Node {
    /// A sidecar that offers an instance of the service at its interface `eth0`.
    pub(crate) fn offering(machine: Namespace) -> Self {
        Self::start(machine, "", OFFER)
    }

    /// A sidecar that balances over the instances of the service.
    pub(crate) fn balancing(machine: Namespace) -> Self {
        Self::start(machine, "", BALANCE)
    }

    pub(crate) fn start(machine: Namespace, discovery: &str, script: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let discovery = write("discovery.conf", &format!("discovery.nic = eth0\n{discovery}"));
        let script = write("sidecar.conf", script);
        let log = File::create(directory.path().join("log")).unwrap();
        let process = machine
            .command(env!("CARGO_BIN_EXE_sidecar"))
            .arg("--discovery-config")
            .arg(discovery)
            .arg("--load")
            .arg(script)
            .args(["--status", STATUS, "--allow-open-controllers"])
            .args(["--http-controller", "[::]:8080"])
            .env_remove("RUST_LOG")
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        Self {
            machine,
            process,
            directory,
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// The status and the body of an answer, asked for within the node's namespace. Status 0 if there is none.
    pub(crate) fn get(&self, url: &str) -> (u16, String) {
        let mut curl = self.machine.command("curl");
        curl.args([
            "--silent",
            "--globoff",
            "--max-time",
            "2",
            "--write-out",
            "\n%{http_code}",
            url,
        ]);
        let output = String::from_utf8(curl.output().unwrap().stdout).unwrap();
        let (body, status) = output.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    pub(crate) fn readiness(&self) -> (u16, String) {
        self.get(&format!("http://{STATUS}/readyz"))
    }

    pub(crate) fn ready(&self) {
        eventually("ready", || (self.readiness(), self.log()), |(it, _)| it.0 == 200);
    }

    fn view(&self) -> Value {
        let (_, body) = self.get(&format!("http://{STATUS}/mesh"));
        serde_json::from_str(&body).unwrap_or_default()
    }

    /// The address that it announces.
    pub(crate) fn address(&self) -> String {
        self.view()["node"]["address"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The addresses of the instances of the service that it knows.
    pub(crate) fn instances(&self) -> Vec<String> {
        let view = self.view();
        let services = view["services"].as_array().into_iter().flatten();
        let instances = services.flat_map(|it| it["instances"].as_array().into_iter().flatten());
        instances
            .map(|it| it["address"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// The status of an answer of an instance, through the load balancer.
    pub(crate) fn balanced(&self) -> u16 {
        self.get(&format!("http://{BALANCER}/")).0
    }

    /// Waits until it reaches exactly the instance at this address.
    pub(crate) fn reaches(&self, address: &str) {
        eventually(
            &format!("an answer of the instance at {address}"),
            || (self.instances(), self.balanced(), self.log()),
            |(instances, status, _)| *instances == [address] && *status == 404,
        );
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
