//! Who holds a host port that the mesh wants.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::cluster::topology::Topology;
use crate::engine::{Container, Engine, EngineChoice, EngineError, label};
use crate::error::Error;

/// How the engine's own process ends, as [`process`] tells it, that holds a port on behalf of a container.
const PROXY: &str = "(docker-proxy)";
/// Time that the engine that the mesh does not run on may take to tell what it runs.
const OTHER_LIMIT: Duration = Duration::from_secs(2);
/// Looks for the container behind such a process, and the time between two.
const PROXY_LOOKS: usize = 10;
const PROXY_PERIOD: Duration = Duration::from_millis(100);

/// Refuses a mesh whose fixed host ports are taken, and says by whom. What containers of the run `own` hold is not
/// taken.
///
/// # Errors
/// One or more are taken, or the engine's.
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
    let advice = "stop what uses it, or choose other ports with FRONTEND_PORT, LB_A_PORT and LB_B_PORT";
    Err(Error::environment(held.join("\n"), advice))
}

/// A container by its name, else a process; none where the port is free.
async fn holder(engine: &Engine, ip: Ipv4Addr, port: u16, own: &str) -> Result<Option<String>, EngineError> {
    let told = |container: &Container| format!("container {} ({})", container.name, container.image);
    let mut proxy = String::new();
    for _ in 0..PROXY_LOOKS {
        let all = engine.all_containers().await?;
        if let Some(container) = publisher(&all, ip, port) {
            return Ok((container.label(label::RUN) != own).then(|| told(container)));
        }
        let process = match TcpListener::bind((ip, port)).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                let found = tokio::task::spawn_blocking(move || process(Path::new("/proc"), ip, port)).await;
                let unknown =
                    || format!("another user's process (`sudo ss -ltnp 'sport = :{port}'` shows which)");
                found.ok().flatten().unwrap_or_else(unknown)
            }
            // Where it cannot be tried (a port that only root may bind), the engine will tell.
            Ok(_) | Err(_) => return Ok(None),
        };
        // What another user runs is seen as an engine's container, if at all.
        let others = others(engine).await;
        if let Some(container) = publisher(&others, ip, port) {
            return Ok(Some(told(container)));
        }
        if !process.ends_with(PROXY) {
            return Ok(Some(process));
        }
        proxy = process;
        // The engine lists a container's ports a little after it has bound them.
        tokio::time::sleep(PROXY_PERIOD).await;
    }
    Ok(Some(format!("{proxy} for a container that no engine lists")))
}

/// What runs on the engine that the mesh does not run on; nothing where that does not answer soon.
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
fn publisher(all: &[Container], ip: Ipv4Addr, port: u16) -> Option<&Container> {
    let publishes = |container: &&Container| {
        let mut ports = container.ports.iter();
        ports.any(|(_, bound)| bound.port() == port && overlap(*bound, ip))
    };
    all.iter().find(publishes)
}

/// Whether a listener that is bound there is in the way of one on `ip`.
fn overlap(bound: SocketAddr, ip: Ipv4Addr) -> bool {
    let bound = bound.ip().to_canonical();
    bound.is_unspecified() || bound == ip || ip.is_unspecified() && bound.is_ipv4()
}

/// The process whose listener on `port` is in the way of one on `ip`, as far as this user may look.
fn process(proc: &Path, ip: Ipv4Addr, port: u16) -> Option<String> {
    let tables =
        ["net/tcp", "net/tcp6"].map(|table| std::fs::read_to_string(proc.join(table)).unwrap_or_default());
    let sockets: Vec<String> = tables
        .iter()
        .flat_map(|table| listening(table, ip, port))
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

/// The inodes of sockets that listen on `port` in the way of `ip`, from a table of proc(5)'s `net/tcp` form.
fn listening(table: &str, ip: Ipv4Addr, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let bound = address(fields.get(1)?)?;
        let found = bound.port() == port && overlap(bound, ip) && *fields.get(3)? == LISTEN;
        if found { fields.get(9)?.parse().ok() } else { None }
    };
    table.lines().skip(1).filter_map(row).collect()
}

/// An address as those tables have it: words of 32 bits in this machine's order of bytes, then the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let word = |at: usize| {
        let digits = ip.get(8 * at..8 * (at + 1))?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            Ipv6Addr::from_bits(u128::from_be_bytes(words.as_flattened().try_into().ok()?)).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn only_listeners_on_the_port_that_are_in_the_way_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n\
             1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n\
             2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1\n\
             3: 17174B7F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4714 1\n\
             4: 00000000:1F92 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4715 1\n\
             broken line\n";
        let here = |port| listening(table, Ipv4Addr::LOCALHOST, port);
        assert_eq!(here(8080), [4711]);
        assert_eq!(here(8082), [4715], "a wildcard is everywhere");
        assert_eq!(here(9999), Vec::<u64>::new());
        assert_eq!(listening(table, Ipv4Addr::new(127, 75, 23, 23), 8080), [4714]);
        assert_eq!(listening(table, Ipv4Addr::UNSPECIFIED, 8080), [4711, 4714]);
        assert!(listening("", Ipv4Addr::LOCALHOST, 80).is_empty());
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn addresses_of_both_families_are_read() {
        for (text, expected) in [
            ("0100007F:1F90", Some("127.0.0.1:8080")),
            ("00000000000000000000000000000000:0050", Some("[::]:80")),
            ("00000000000000000000000001000000:0050", Some("[::1]:80")),
            (
                "0000000000000000FFFF00000100007F:0050",
                Some("[::ffff:127.0.0.1]:80"),
            ),
            ("7F:1", None),
            ("0100007F", None),
            ("\u{e9}100007:1", None),
        ] {
            let expected = expected.map(|address| address.parse().unwrap());
            assert_eq!(address(text), expected, "{text}");
        }
        let overlaps = |text: &str| overlap(address(text).unwrap(), Ipv4Addr::LOCALHOST);
        assert!(overlaps("0000000000000000FFFF00000100007F:0050"));
        assert!(overlaps("00000000000000000000000000000000:0050"));
        assert!(!overlaps("00000000000000000000000001000000:0050"));
    }

    #[test]
    fn a_port_is_published_by_the_container_that_is_bound_where_the_mesh_would_be() {
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
        let name = |port| publisher(&all, Ipv4Addr::LOCALHOST, port).map(|found| found.name.as_str());
        assert_eq!(name(8080), Some("here"));
        assert_eq!(name(8081), Some("everywhere"));
        assert_eq!(name(8082), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_found_by_the_port_it_listens_on() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let holder = process(Path::new("/proc"), Ipv4Addr::LOCALHOST, port).unwrap();
        assert!(
            holder.starts_with(&format!("process {} (", std::process::id())),
            "{holder}"
        );
    }
}
