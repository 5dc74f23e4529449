//! The TCP ports that the program, or else any other process of this network namespace, listens on: what a wrong
//! registration is compared with.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;

use procfs_core::net::{TcpNetEntries, TcpState};
use procfs_core::{ExplicitSystemInfo, FromBufReadSI};

/// The kernel's tables of TCP sockets.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
/// State of a listening socket, as the tables write it.
const LISTEN: &str = "0A";
/// Lines read of a table. The kernel lists listening sockets first.
const MAX_LINES: usize = 4096;
/// Processes of the program that are looked at.
const MAX_PROCESSES: usize = 256;
/// Addresses that a message names.
const MAX_NAMED: usize = 8;

/// A listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listening {
    address: SocketAddr,
    inode: u64,
}

/// Describes what the program listens on, for a registration at `wanted`. If that is nothing, or the program is no child
/// of this process, describes what anything else in this network namespace listens on. Reads files: not for asynchronous
/// tasks.
pub(super) fn instead_of(wanted: SocketAddr) -> String {
    let own = sockets("self").unwrap_or_default();
    let mut found = Vec::new();
    for table in TABLES {
        // Without IPv6 there is no second table.
        let Ok(file) = File::open(table) else { continue };
        found.extend(listening(BufReader::new(file)).unwrap_or_default());
    }
    found.retain(|it| !own.contains(&it.inode));
    let processes = descendants();
    let held: Vec<_> = processes
        .iter()
        .filter_map(|process| sockets(process).ok())
        .flatten()
        .collect();
    let (programs, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|it| held.contains(&it.inode));
    let (subject, found) = match programs.is_empty() {
        true => ("programs here listen on", others),
        false => ("the program listens on", programs),
    };
    describe(wanted, subject, found.into_iter().map(|it| it.address).collect())
}

/// The process identifiers of this process's children, and of theirs.
fn descendants() -> Vec<String> {
    let mut found = vec!["self".to_owned()];
    let mut next = 0;
    while next < found.len() && found.len() < MAX_PROCESSES {
        let threads = fs::read_dir(format!("/proc/{}/task", found[next]))
            .into_iter()
            .flatten();
        for thread in threads.filter_map(Result::ok) {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().map(str::to_owned));
        }
        next += 1;
    }
    found.split_off(1)
}

/// The inodes of a process's sockets.
fn sockets(process: &str) -> io::Result<Vec<u64>> {
    let inode = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        let inode = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        inode.parse().ok()
    };
    let open = fs::read_dir(format!("/proc/{process}/fd"))?;
    Ok(open.filter_map(Result::ok).filter_map(inode).collect())
}

/// The listening sockets of a table.
fn listening(table: impl BufRead) -> Option<Vec<Listening>> {
    let mut lines = table.lines().take(MAX_LINES).map_while(Result::ok);
    let mut kept = lines.next()?;
    for line in lines.filter(|line| line.split_whitespace().nth(3) == Some(LISTEN)) {
        kept.push('\n');
        kept.push_str(&line);
    }
    let system = ExplicitSystemInfo {
        boot_time_secs: 0,
        ticks_per_second: 0,
        page_size: 0,
        is_little_endian: cfg!(target_endian = "little"),
    };
    let entries = TcpNetEntries::from_buf_read(kept.as_bytes(), &system).ok()?;
    let listening = entries
        .0
        .into_iter()
        .filter(|entry| entry.state == TcpState::Listen);
    let listening = listening.map(|entry| Listening {
        address: entry.local_address,
        inode: entry.inode,
    });
    Some(listening.collect())
}

/// A sentence about the addresses that are listened on; those with the wanted port first.
fn describe(wanted: SocketAddr, subject: &str, mut found: Vec<SocketAddr>) -> String {
    found.sort_unstable_by_key(|address| (address.port() != wanted.port(), address.port(), address.ip()));
    found.dedup();
    if found.is_empty() {
        return "no program here listens on any port".to_owned();
    }
    let loopback = |address: &SocketAddr| address.ip().to_canonical().is_loopback();
    let named = found
        .iter()
        .take(MAX_NAMED)
        .map(|address| match loopback(address) {
            true => format!("{address} (loopback only)"),
            false => address.to_string(),
        });
    let named: Vec<_> = named.collect();
    let more = match found.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (ip, port) = (wanted.ip(), wanted.port());
    let advice = match found.iter().any(|address| address.port() == port) {
        true => format!("let the program listen on {ip} or on all addresses"),
        false => "register the port that the program listens on".to_owned(),
    };
    format!("{subject} {}{more}; {advice}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_program_on_loopback_only_is_told_to_listen_elsewhere() {
        let wanted = "172.18.0.3:8000".parse().unwrap();
        assert_eq!(
            describe(
                wanted,
                "the program listens on",
                addresses(&["0.0.0.0:22", "127.0.0.1:8000", "[::1]:8000"])
            ),
            "the program listens on 127.0.0.1:8000 (loopback only), [::1]:8000 (loopback only), 0.0.0.0:22; \
             let the program listen on 172.18.0.3 or on all addresses"
        );
    }

    #[test]
    fn another_port_is_named_and_to_be_registered() {
        let wanted = "172.18.0.3:8000".parse().unwrap();
        let sentence = describe(
            wanted,
            "programs here listen on",
            addresses(&["0.0.0.0:9000", "0.0.0.0:9000"]),
        );
        assert_eq!(
            sentence,
            "programs here listen on 0.0.0.0:9000; register the port that the program listens on"
        );
        assert_eq!(
            describe(wanted, "", Vec::new()),
            "no program here listens on any port"
        );
        let many = (1..=20).map(|port| SocketAddr::from(([0, 0, 0, 0], port)));
        let sentence = describe(wanted, "", many.collect());
        assert!(sentence.contains("0.0.0.0:8 and 12 more"), "{sentence}");
    }

    #[test]
    fn sockets_that_do_not_listen_and_malformed_tables_are_left_out() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1
";
        let expected = Listening {
            address: "127.0.0.1:8080".parse().unwrap(),
            inode: 4711,
        };
        if cfg!(target_endian = "little") {
            assert_eq!(listening(table.as_bytes()), Some(vec![expected]));
        }
        assert_eq!(listening(&b""[..]), None);
        assert_eq!(listening(&b"x\n 0: x y 0A"[..]), None);
    }

    #[test]
    fn this_process_is_left_out() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sentence = instead_of(address);
        assert!(!sentence.contains(&format!("{address} ")), "{sentence}");
    }
}
