//! Checks that the mesh's host ports are free, and finds the process or container that holds a port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use procfs_core::net::{TcpNetEntries, TcpNetEntry, TcpState};
use procfs_core::{ExplicitSystemInfo, FromReadSI};
use tokio::net::TcpListener;

use crate::cluster::topology::Topology;
use crate::engine::{Container, Engine, EngineChoice, EngineError, label};
use crate::error::Error;

/// Suffix of [`process`]'s description of the process that holds a published port on behalf of Docker.
const PROXY: &str = "(docker-proxy)";
/// Timeout for listing the containers of the engine that the mesh does not run on.
const OTHER_LIMIT: Duration = Duration::from_secs(2);
/// Number of attempts to find the container for which Docker's proxy process holds a port, and their interval.
const PROXY_LOOKS: usize = 10;
const PROXY_PERIOD: Duration = Duration::from_millis(100);

/// Checks that the topology's fixed host ports are free. Ports held by containers of the run `own` count as free.
///
/// # Errors
/// Ports are taken: lists each with its holder. Or the engine fails.
pub async fn check_free(engine: &Engine, topology: &Topology, own: &str) -> Result<(), Error> {
    let mut held = Vec::new();
    for port in topology.members.iter().flat_map(|member| &member.service.ports) {
        if let Some(number) = port.host_port
            && let Some(holder) = holder(engine, port.host_ip, number, own).await?
        {
            held.push(format!("port {number} is in use by {holder}"));
        }
    }
    if held.is_empty() {
        return Ok(());
    }
    let advice = "stop what uses it, or choose other ports with their variables, such as FRONTEND_PORT";
    Err(Error::environment(held.join("\n"), advice))
}

/// The holder of a port that is to be published on `ip`; `None` if the port is free. `localhost` may mean ::1, so a port
/// of 127.0.0.1 is free only if nothing else answers there.
async fn holder(engine: &Engine, ip: Ipv4Addr, port: u16, own: &str) -> Result<Option<String>, EngineError> {
    let holder = holder_at(engine, ip.into(), port, own).await?;
    if holder.is_some() || !(ip == Ipv4Addr::LOCALHOST || ip.is_unspecified()) {
        return Ok(holder);
    }
    let other = holder_at(engine, Ipv6Addr::LOCALHOST.into(), port, own).await?;
    Ok(other.map(|other| format!("{other} on [::1], which `localhost` may mean")))
}

/// The container or, if there is none, the process that holds a port; `None` if the port is free, or the machine does
/// not have the address.
async fn holder_at(engine: &Engine, ip: IpAddr, port: u16, own: &str) -> Result<Option<String>, EngineError> {
    let describe = |container: &Container| format!("container {} ({})", container.name, container.image);
    let mut proxy = String::new();
    for _ in 0..PROXY_LOOKS {
        let all = engine.all_containers().await?;
        if let Some(container) = publisher(&all, ip, port) {
            return Ok((container.label(label::RUN) != own).then(|| describe(container)));
        }
        if !engine.listens_here() {
            // Of the other machine's ports, only those of containers are known; the engine reports others.
            return Ok(None);
        }
        let process = match TcpListener::bind((ip, port)).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                let found = tokio::task::spawn_blocking(move || process(Path::new("/proc"), ip, port)).await;
                let unknown =
                    || format!("another user's process (`sudo ss -ltnp 'sport = :{port}'` shows which)");
                found.ok().flatten().unwrap_or_else(unknown)
            }
            // A privileged port cannot be tested without root; if it is taken, the engine reports it.
            Ok(_) | Err(_) => return Ok(None),
        };
        // The process may hold the port for a container of the other engine.
        let others = others(engine).await;
        if let Some(container) = publisher(&others, ip, port) {
            return Ok(Some(describe(container)));
        }
        if !process.ends_with(PROXY) {
            return Ok(Some(process));
        }
        proxy = process;
        // The engine lists a container's ports shortly after it has bound them.
        tokio::time::sleep(PROXY_PERIOD).await;
    }
    Ok(Some(format!("{proxy} for a container that no engine lists")))
}

/// The containers of the engine that the mesh does not run on; empty if it does not respond in time.
async fn others(engine: &Engine) -> Vec<Container> {
    let other = match engine {
        Engine::Docker(_) => EngineChoice::Process,
        Engine::Process(_) => EngineChoice::Docker,
    };
    let listed = async { other.connect().await?.engine.all_containers().await };
    let listed = tokio::time::timeout(OTHER_LIMIT, listed).await;
    listed.map(Result::unwrap_or_default).unwrap_or_default()
}

/// The container that publishes the port.
fn publisher(all: &[Container], ip: IpAddr, port: u16) -> Option<&Container> {
    let publishes = |container: &&Container| {
        let mut ports = container.ports.iter();
        ports.any(|(_, bound)| bound.port() == port && overlap(*bound, ip))
    };
    all.iter().find(publishes)
}

/// Whether a listener at `bound` prevents a listener on `ip` with the same port.
fn overlap(bound: SocketAddr, ip: IpAddr) -> bool {
    let bound = bound.ip().to_canonical();
    let same_family = bound.is_ipv4() == ip.is_ipv4();
    // A listener on [::] usually accepts IPv4 too.
    bound == ip
        || bound.is_unspecified() && (same_family || bound.is_ipv6())
        || ip.is_unspecified() && same_family
}

/// The process whose listener on `port` prevents a listener on `ip`; `None` if it belongs to another user.
fn process(proc: &Path, ip: IpAddr, port: u16) -> Option<String> {
    let sockets: Vec<String> = ["net/tcp", "net/tcp6"]
        .iter()
        .flat_map(|table| listening(&proc.join(table), ip, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let processes = std::fs::read_dir(proc).ok()?.flatten();
    for process in processes {
        let Some(pid) = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = |link: &Path| sockets.iter().any(|socket| link == Path::new(socket));
        if files
            .flatten()
            .any(|file| std::fs::read_link(file.path()).is_ok_and(|link| holds(&link)))
        {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("process {pid} ({})", name.trim_end()));
        }
    }
    None
}

/// The inodes of sockets that listen on `port` and prevent a listener on `ip`. `table` has the format of
/// `/proc/net/tcp` (proc(5)).
fn listening(table: &Path, ip: IpAddr, port: u16) -> Vec<u64> {
    let system = ExplicitSystemInfo {
        is_little_endian: cfg!(target_endian = "little"),
        // Parsing this table does not use the boot time.
        boot_time_secs: 0,
        ticks_per_second: 0,
        page_size: 0,
    };
    let sockets = TcpNetEntries::from_file(table, &system).map_or_else(|_| Vec::new(), |table| table.0);
    let prevents = |socket: &TcpNetEntry| {
        let bound = socket.local_address;
        socket.state == TcpState::Listen && bound.port() == port && overlap(bound, ip)
    };
    sockets
        .into_iter()
        .filter(prevents)
        .map(|socket| socket.inode)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listeners_on_the_port_that_overlap_count() {
        // The table has addresses in the machine's byte order; these are the same in both orders.
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 7F00007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n\
             1: 7F00007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n\
             2: 7F00007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1\n\
             3: 7F17177F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4714 1\n\
             4: 00000000:1F92 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4715 1\n";
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tcp");
        std::fs::write(&file, table).unwrap();
        let here = |port| listening(&file, Ipv4Addr::new(127, 0, 0, 127).into(), port);
        assert_eq!(here(8080), [4711]);
        assert_eq!(here(8082), [4715], "a wildcard overlaps every address");
        assert_eq!(here(9999), Vec::<u64>::new());
        assert_eq!(
            listening(&file, Ipv4Addr::new(127, 23, 23, 127).into(), 8080),
            [4714]
        );
        assert_eq!(listening(&file, Ipv4Addr::UNSPECIFIED.into(), 8080), [4711, 4714]);
        assert!(listening(Path::new("/no/such"), Ipv4Addr::LOCALHOST.into(), 80).is_empty());
    }

    #[test]
    fn a_wildcard_or_mapped_address_overlaps_and_another_family_does_not() {
        let overlaps = |bound: &str, ip: &str| overlap(bound.parse().unwrap(), ip.parse().unwrap());
        assert!(overlaps("[::ffff:127.0.0.1]:80", "127.0.0.1"));
        assert!(overlaps("[::]:80", "127.0.0.1"));
        assert!(!overlaps("[::1]:80", "127.0.0.1"));
        assert!(overlaps("[::1]:80", "::1") && overlaps("[::]:80", "::1"));
        assert!(!overlaps("127.0.0.1:80", "::1") && !overlaps("0.0.0.0:80", "::1"));
    }

    #[test]
    fn the_publisher_of_a_port_is_the_container_bound_to_an_overlapping_address() {
        let container = |name: &str, bound: &str| Container {
            name: name.to_owned(),
            ports: vec![(80, bound.parse().unwrap())],
            ..Container::default()
        };
        let all = [
            container("elsewhere", "127.0.0.2:8080"),
            container("everywhere", "0.0.0.0:8081"),
            container("here", "127.0.0.1:8080"),
        ];
        let name = |port| publisher(&all, Ipv4Addr::LOCALHOST.into(), port).map(|found| found.name.as_str());
        assert_eq!(name(8080), Some("here"));
        assert_eq!(name(8081), Some("everywhere"));
        assert_eq!(name(8082), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_is_found_by_the_port_it_listens_on() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let holder = process(Path::new("/proc"), Ipv4Addr::LOCALHOST.into(), port).unwrap();
        assert!(
            holder.starts_with(&format!("process {} (", std::process::id())),
            "{holder}"
        );
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_port_of_127_0_0_1_is_taken_by_a_listener_on_the_other_localhost() {
        let directory = tempfile::tempdir().unwrap();
        let engine =
            Engine::Process(crate::engine::Processes::open_in(directory.path().join("state")).unwrap());
        let listener = match TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await {
            Ok(listener) => listener,
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "this test needs IPv6: {error}");
                eprintln!("skipped: this machine has no IPv6: {error}");
                return;
            }
        };
        let port = listener.local_addr().unwrap().port();
        let at = async |ip| holder(&engine, ip, port, "own").await.unwrap();
        let expected = format!("process {} (", std::process::id());
        for ip in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
            let found = at(ip).await.unwrap_or_default();
            assert!(
                found.starts_with(&expected) && found.ends_with("on [::1], which `localhost` may mean"),
                "{found}"
            );
        }
        assert_eq!(at(Ipv4Addr::new(127, 0, 0, 2)).await, None);
        drop(listener);
        assert_eq!(at(Ipv4Addr::LOCALHOST).await, None);
    }
}
