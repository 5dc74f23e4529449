//! Network namespaces: a bridge, and one machine for each sidecar.

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::skip::skip;

/// Limit of a wait.
const DEADLINE: Duration = Duration::from_secs(20);

/// A network namespace, which ends with this value.
pub(crate) struct Namespace(Child);

impl Namespace {
    fn new() -> Option<Self> {
        // Tells when the namespace is there; then waits until it is killed.
        let mut holder = Command::new("unshare")
            .args(["--net", "--uts", "sh", "-c", "echo made; exec sleep infinity"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut said = String::new();
        let mut out = std::io::BufReader::new(holder.stdout.take()?);
        std::io::BufRead::read_line(&mut out, &mut said).ok()?;
        let made = said == "made\n";
        let namespace = Self(holder);
        made.then_some(namespace)
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    /// A command that runs in the namespace.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid(), "--net", "--uts", program]);
        command
    }

    fn has(&self, program: &str) -> bool {
        let asked = self.command(program).arg("-V").output();
        asked.is_ok_and(|output| output.status.success())
    }

    pub(crate) fn run(&self, line: &str) -> Output {
        let mut words = line.split_whitespace();
        let output = self.command(words.next().unwrap()).args(words).output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        output
    }

    /// Runs `ip` with the words of each line.
    pub(crate) fn ip(&self, lines: &[&str]) {
        for line in lines {
            self.run(&format!("ip {line}"));
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A network: a bridge with the machines that are connected to it.
pub(crate) struct World {
    hub: Namespace,
}

impl World {
    /// None, with a message, if this machine does not allow namespaces.
    pub(crate) fn new() -> Option<Self> {
        let hub = Namespace::new().filter(|hub| hub.has("ip") && hub.has("curl"));
        let Some(hub) = hub else {
            skip("networks", "run it as root, with `unshare`, `ip` and `curl`");
            return None;
        };
        hub.ip(&[
            "link add br0 type bridge",
            "addr add 10.77.0.254/16 dev br0",
            "link set br0 up",
        ]);
        Some(Self { hub })
    }

    /// A machine with this host name, connected as `eth0`.
    pub(crate) fn machine(&self, host: &str) -> Namespace {
        let machine = Namespace::new().unwrap();
        machine.run(&format!("hostname {host}"));
        machine.ip(&["link set lo up"]);
        self.connect(&machine, host, "eth0");
        machine
    }

    /// Connects a machine by an interface of this name, without an address. `port` is unique in the world.
    pub(crate) fn connect(&self, machine: &Namespace, port: &str, nic: &str) {
        let pid = machine.pid();
        self.hub.ip(&[
            &format!("link add {port} type veth peer name {nic} netns {pid}"),
            &format!("link set {port} master br0 up"),
        ]);
        machine.ip(&[&format!("link set {nic} up")]);
    }
}

/// Waits until a condition holds; says what was found last if it does not.
pub(crate) fn eventually<T: std::fmt::Debug>(
    what: &str,
    mut look: impl FnMut() -> T,
    holds: impl Fn(&T) -> bool,
) {
    let begin = Instant::now();
    loop {
        let found = look();
        if holds(&found) {
            return;
        }
        let waited = begin.elapsed();
        assert!(
            waited < DEADLINE,
            "not within {DEADLINE:?}: {what}; last: {found:#?}"
        );
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
