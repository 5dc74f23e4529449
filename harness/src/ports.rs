//! Who holds a host port that the mesh wants.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::error::Error;
use crate::runtime::{Container, Runtime, RuntimeError, label};
use crate::topology::Topology;

/// How the engine's own process ends, as [`process`] tells it, that holds a port on behalf of a container.
const PROXY: &str = "(docker-proxy)";
/// Looks for the container behind such a process, and the time between two.
const PROXY_LOOKS: usize = 10;
const PROXY_PERIOD: Duration = Duration::from_millis(100);

/// Refuses a mesh whose fixed host ports are taken, and says by whom. What containers of the run `own` hold is not
/// taken.
///
/// # Errors
/// One or more are taken, or the engine's.
pub async fn check_free(runtime: &Runtime, topology: &Topology, own: &str) -> Result<(), Error> {
    let mut held = Vec::new();
    for port in topology.members.iter().flat_map(|member| &member.service.ports) {
        if let Some(number) = port.host_port
            && let Some(holder) = holder(runtime, port.host_ip, number, own).await?
        {
            held.push(format!("port {number} is held by {holder}"));
        }
    }
    if held.is_empty() {
        return Ok(());
    }
    let advice = "stop what holds it, or choose other ports with FRONTEND_PORT, LB_A_PORT and LB_B_PORT";
    Err(Error::environment(held.join("\n"), advice))
}

/// A container by its name, else a process; none where the port is free.
async fn holder(
    runtime: &Runtime,
    ip: Ipv4Addr,
    port: u16,
    own: &str,
) -> Result<Option<String>, RuntimeError> {
    for _ in 0..PROXY_LOOKS {
        let all = runtime.all_containers().await?;
        if let Some(container) = publisher(&all, ip, port) {
            let told = || format!("container {} ({})", container.name, container.image);
            return Ok((container.label(label::RUN) != own).then(told));
        }
        let process = match TcpListener::bind((ip, port)).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                let found = tokio::task::spawn_blocking(move || process(Path::new("/proc"), port)).await;
                let unknown =
                    || format!("a process of another user (`sudo ss -ltnp 'sport = :{port}'` tells which)");
                found.ok().flatten().unwrap_or_else(unknown)
            }
            // Where it cannot be tried (a port that only root may bind), the engine will tell.
            Ok(_) | Err(_) => return Ok(None),
        };
        if !process.ends_with(PROXY) {
            return Ok(Some(process));
        }
        // The engine lists a container's ports a little after it has bound them.
        tokio::time::sleep(PROXY_PERIOD).await;
    }
    Ok(Some(
        "a container that the engine is just starting or stopping".to_owned(),
    ))
}

/// The container that publishes the port.
fn publisher(all: &[Container], ip: Ipv4Addr, port: u16) -> Option<&Container> {
    let publishes = |container: &&Container| {
        let mut ports = container.ports.iter();
        ports.any(|(_, bound)| bound.port() == port && overlap(*bound, ip))
    };
    all.iter().find(publishes)
}

fn overlap(bound: SocketAddr, ip: Ipv4Addr) -> bool {
    bound.ip().is_unspecified() || ip.is_unspecified() || bound.ip() == ip
}

/// The process that listens on `port`, as far as this user may look.
fn process(proc: &Path, port: u16) -> Option<String> {
    let tables =
        ["net/tcp", "net/tcp6"].map(|table| std::fs::read_to_string(proc.join(table)).unwrap_or_default());
    let sockets: Vec<String> = tables
        .iter()
        .flat_map(|table| listening(table, port))
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

/// The inodes of sockets that listen on `port`, from a table of proc(5)'s `net/tcp` form.
fn listening(table: &str, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let found = u16::from_str_radix(local, 16).ok()? == port && *fields.get(3)? == LISTEN;
        if found { fields.get(9)?.parse().ok() } else { None }
    };
    table.lines().skip(1).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listeners_on_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n\
             1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n\
             2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1\n\
             broken line\n";
        assert_eq!(listening(table, 8080), [4711]);
        assert_eq!(listening(table, 9999), Vec::<u64>::new());
        assert!(listening("", 80).is_empty());
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
        let holder = process(Path::new("/proc"), port).unwrap();
        assert!(
            holder.starts_with(&format!("process {} (", std::process::id())),
            "{holder}"
        );
    }
}
