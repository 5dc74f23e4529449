//! Network namespaces: a test in one of its own with a bridge, and hosts that are connected to the bridge.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Tells a test that it runs in its namespace.
const INSIDE: &str = "MESH_ATTACK_NAMESPACE";
/// The address of the bridge, from which the test itself calls the mesh.
const BRIDGE: &str = "10.77.0.254";
/// The address that clouds serve their secrets at; one host of each network has it.
pub(crate) const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// Runs the body of the test with this name in a network namespace of its own. The machine may not allow that: then the
/// test is skipped, or fails if `MESH_REQUIRE` names `networks`.
pub(crate) fn isolated(test: &str, body: impl AsyncFnOnce(Network)) {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        return runtime.unwrap().block_on(async { body(Network::new()).await });
    }
    // Root in a new user namespace may do the same as root.
    let options = ["--net", "--uts", "--user", "--map-root-user"];
    let options = if rustix::process::geteuid().is_root() {
        &options[..2]
    } else {
        &options[..]
    };
    let trial = "ip link add name try type veth peer name far && unshare --net --uts nsenter -V";
    let allowed = Command::new("unshare")
        .args(options)
        .args(["sh", "-c", trial])
        .output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        let required =
            std::env::var("MESH_REQUIRE").is_ok_and(|all| all.split(',').any(|it| it == "networks"));
        let advice =
            "run it as root, or allow unprivileged user namespaces, with `unshare`, `nsenter` and `ip`";
        assert!(!required, "MESH_REQUIRE names networks: {advice}");
        // Directly, because libtest hides the output of a test that passes.
        let _ = writeln!(io::stderr(), "skipped: it needs networks: {advice}");
        return;
    }
    let status = Command::new("unshare")
        .args(options)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--include-ignored"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed in its namespace: {status}");
}

fn run(line: &str) {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
}

/// The bridge of the test's own namespace.
pub(crate) struct Network(());

impl Network {
    fn new() -> Self {
        run("ip link set lo up");
        run("ip link add br0 type bridge");
        run(&format!("ip addr add {BRIDGE}/24 dev br0"));
        run("ip link set br0 up");
        Self(())
    }

    /// A host with this name, whose interface `eth0` has this address and is connected to the bridge.
    pub(crate) fn host(&self, name: &str, address: Ipv4Addr) -> Host {
        let mut holder = Command::new("unshare")
            .args([
                "--net",
                "--uts",
                "sh",
                "-c",
                "hostname \"$0\"; echo; exec cat",
                name,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Its line shows that the namespace is there.
        holder.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let host = Host {
            holder,
            name: name.to_owned(),
            address,
        };
        let pid = host.holder.id();
        run(&format!(
            "ip link add name {name} type veth peer name eth0 netns {pid}"
        ));
        run(&format!("ip link set dev {name} master br0 up"));
        host.run("ip link set lo up");
        host.run(&format!("ip addr add {address}/24 dev eth0"));
        host.run("ip link set eth0 up");
        host.run(&format!("ip route add {METADATA}/32 dev eth0"));
        host
    }
}

/// A machine on the network; it ends with this value.
pub(crate) struct Host {
    holder: Child,
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
}

impl Host {
    /// A command that runs there.
    pub(crate) fn command(&self, program: &std::path::Path) -> Command {
        let pid = self.holder.id();
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{pid}/ns/net"))
            .arg(format!("--uts=/proc/{pid}/ns/uts"))
            .arg(program);
        command
    }

    /// Runs a program there that must succeed.
    pub(crate) fn run(&self, line: &str) {
        let (program, arguments) = line.split_once(' ').unwrap();
        let mut command = self.command(program.as_ref());
        let output = command.args(arguments.split_whitespace()).output().unwrap();
        assert!(output.status.success(), "{}: {line}: {output:?}", self.name);
    }

    /// What a function makes there: sockets stay in the namespace of the thread that makes them.
    pub(crate) fn within<T: Send>(&self, make: impl FnOnce() -> io::Result<T> + Send) -> T {
        let namespace = std::fs::File::open(format!("/proc/{}/ns/net", self.holder.id())).unwrap();
        let made = std::thread::scope(|scope| {
            let there = move || {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                make()
            };
            scope.spawn(there).join().unwrap()
        });
        made.unwrap_or_else(|error| panic!("a socket at {}: {error}", self.name))
    }

    /// A listener at an address of this host.
    pub(crate) fn listen(&self, address: impl Into<SocketAddr>) -> TcpListener {
        let address = address.into();
        let socket = self.within(|| {
            let socket = TcpSocket::for_address(address)?;
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            Ok(socket)
        });
        socket.listen(1024).unwrap()
    }

    /// A connection from this host.
    pub(crate) async fn connect(&self, to: impl Into<SocketAddr>) -> io::Result<TcpStream> {
        let to = to.into();
        self.within(|| TcpSocket::for_address(to)).connect(to).await
    }

    /// A datagram socket of this host.
    pub(crate) fn datagrams(&self, port: u16) -> tokio::net::UdpSocket {
        let socket = self.within(|| {
            let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        tokio::net::UdpSocket::from_std(socket).unwrap()
    }

    /// A socket that sends IP packets of this host as they are, whatever their source.
    pub(crate) fn raw(&self) -> Socket {
        const RAW: i32 = 255;
        self.within(|| Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(RAW))))
    }

    /// IP packets that this host has received.
    pub(crate) fn received(&self) -> u64 {
        let counters = self.within(|| std::fs::read_to_string("/proc/thread-self/net/snmp"));
        let mut lines = counters.lines().filter_map(|line| line.strip_prefix("Ip:"));
        let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
        let mut pairs = names.split_whitespace().zip(values.split_whitespace());
        let (_, received) = pairs.find(|(name, _)| *name == "InReceives").unwrap();
        received.parse().unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

trait ForAddress: Sized {
    fn for_address(address: SocketAddr) -> io::Result<Self>;
}

impl ForAddress for TcpSocket {
    fn for_address(address: SocketAddr) -> io::Result<Self> {
        match address.ip() {
            IpAddr::V4(_) => Self::new_v4(),
            IpAddr::V6(_) => Self::new_v6(),
        }
    }
}
