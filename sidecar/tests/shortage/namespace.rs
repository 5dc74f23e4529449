//! Runs a test in a network namespace of its own, where it may change interfaces, ports and rules.

use std::process::{Child, Command, Stdio};

use crate::skip::skip;

/// Tells the test that it runs in the namespace.
const INSIDE: &str = "SIDECAR_TEST_NAMESPACE";

/// Whether the caller, the test of this name, runs in a namespace of its own, whose loopback interface is up. Otherwise runs
/// the test there, and the caller returns. A machine that does not allow namespaces skips the test, unless `MESH_REQUIRE`
/// names `networks`.
pub(crate) fn entered(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        run("ip link set lo up");
        return true;
    }
    // Root in a new user namespace may do the same as root.
    let unshare = ["--net", "--user", "--map-root-user"];
    let unshare = if rustix::process::geteuid().is_root() {
        &unshare[..1]
    } else {
        &unshare[..]
    };
    let allowed = Command::new("unshare")
        .args(unshare)
        .args(["sh", "-c", "ip link && iptables -L"])
        .output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        skip(
            "networks",
            "run it as root, or allow unprivileged user namespaces, with `unshare`, `ip` and `iptables`",
        );
        return false;
    }
    let status = Command::new("unshare")
        .args(unshare)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed in its namespace: {status}");
    false
}

/// Runs a shell command that must succeed.
pub(crate) fn run(command: &str) {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(
        output.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Lowers the number of local ports that connections may come from.
pub(crate) fn limit_ports(count: u16) {
    const FIRST: u16 = 40_000;
    let last = FIRST + count - 1;
    std::fs::write(
        "/proc/sys/net/ipv4/ip_local_port_range",
        format!("{FIRST} {last}"),
    )
    .unwrap();
    // Otherwise the kernel reuses ports on loopback a second after a connection has ended.
    std::fs::write("/proc/sys/net/ipv4/tcp_tw_reuse", "0").unwrap();
}

/// Another network namespace, which ends with this process. Its interface `far` is 10.77.0.2, and connected to our interface
/// `near`, which is 10.77.0.1.
pub(crate) struct Neighbour(Child);

impl Neighbour {
    pub(crate) fn connect() -> Self {
        let child = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut neighbour = Self(child);
        // Its line shows that the namespace is there.
        let mut ready = [0];
        std::io::Read::read_exact(neighbour.0.stdout.as_mut().unwrap(), &mut ready).unwrap();
        let there = neighbour.enter();
        run("ip link add near type veth peer name far");
        run(&format!("ip link set far netns {}", neighbour.0.id()));
        run("ip addr add 10.77.0.1/24 dev near && ip link set near up");
        run(&format!(
            "{there} sh -c 'ip link set lo up && ip addr add 10.77.0.2/24 dev far && ip link set far up'"
        ));
        neighbour
    }

    /// The beginning of a shell command that starts a program there.
    pub(crate) fn launch(&self) -> String {
        format!("exec {}", self.enter())
    }

    fn enter(&self) -> String {
        format!("nsenter --net=/proc/{}/ns/net", self.0.id())
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
