//! `sidecar listening`: the ports on which programs listen in the network namespace, for containers without tools.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use anyhow::Context;
use procfs_core::net::{TcpNetEntries, TcpState, UdpNetEntries, UdpState};
use procfs_core::{ExplicitSystemInfo, FromBufReadSI};

/// The kernel's tables of sockets.
const TABLES: [(Protocol, &str); 4] = [
    (Protocol::Tcp, "/proc/net/tcp"),
    (Protocol::Tcp, "/proc/net/tcp6"),
    (Protocol::Udp, "/proc/net/udp"),
    (Protocol::Udp, "/proc/net/udp6"),
];
/// The range from which the kernel gives ports to clients.
const CLIENT_PORTS: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// The kernel's default of it.
const DEFAULT_CLIENT_PORTS: RangeInclusive<u16> = 32768..=60999;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Protocol {
    Tcp,
    Udp,
}

/// A port on which a program listens.
type Listener = (Protocol, u16);

/// Prints the ports, a line each; those of UDP end with `/udp`.
///
/// # Errors
/// When they cannot be read or printed.
pub(crate) fn print() -> anyhow::Result<()> {
    let line = |(protocol, port): &Listener| match protocol {
        Protocol::Tcp => format!("{port}\n"),
        Protocol::Udp => format!("{port}/udp\n"),
    };
    let lines: String = ports()?.iter().map(line).collect();
    std::io::stdout()
        .write_all(lines.as_bytes())
        .context("cannot print")
}

/// The ports, without those on loopback addresses, which no other container reaches.
///
/// # Errors
/// When a table cannot be read. Without IPv6 some are missing, which is no error.
fn ports() -> anyhow::Result<BTreeSet<Listener>> {
    let clients = fs::read_to_string(CLIENT_PORTS).ok();
    let clients = clients
        .as_deref()
        .and_then(range_of)
        .unwrap_or(DEFAULT_CLIENT_PORTS);
    let mut ports = BTreeSet::new();
    for (protocol, table) in TABLES {
        match fs::read(table) {
            Ok(bytes) => ports
                .extend(read(protocol, &bytes, &clients).with_context(|| format!("cannot read {table}"))?),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot open {table}")),
        }
    }
    Ok(ports)
}

/// Reads a range as the kernel prints it, for instance `32768\t60999`.
fn range_of(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.trim().split_once(char::is_whitespace)?;
    Some(first.parse().ok()?..=last.trim().parse().ok()?)
}

/// The listeners of a table. A UDP socket without a peer may be a server's or a client's: it is a client's if its port is
/// one of those that the kernel gives to `clients`.
fn read(
    protocol: Protocol,
    mut table: &[u8],
    clients: &RangeInclusive<u16>,
) -> anyhow::Result<BTreeSet<Listener>> {
    // Only the byte order counts for sockets.
    let system = ExplicitSystemInfo {
        boot_time_secs: 0,
        ticks_per_second: 1,
        page_size: 1,
        is_little_endian: cfg!(target_endian = "little"),
    };
    let addresses: Vec<SocketAddr> = match protocol {
        Protocol::Tcp => {
            let TcpNetEntries(entries) = TcpNetEntries::from_buf_read(&mut table, &system)?;
            let listening = entries
                .into_iter()
                .filter(|entry| entry.state == TcpState::Listen);
            listening.map(|entry| entry.local_address).collect()
        }
        Protocol::Udp => {
            let UdpNetEntries(entries) = UdpNetEntries::from_buf_read(&mut table, &system)?;
            let without_peer = entries.into_iter().filter(|entry| entry.state == UdpState::Close);
            let servers = without_peer.filter(|entry| !clients.contains(&entry.local_address.port()));
            servers.map(|entry| entry.local_address).collect()
        }
    };
    let reached = addresses
        .into_iter()
        .filter(|address| !address.ip().to_canonical().is_loopback());
    Ok(reached.map(|address| (protocol, address.port())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_ports_that_others_reach_are_read() {
        let line = |address: &str, state: &str| {
            let zero = "0".repeat(address.len());
            format!(
                "   0: {address}:1F90 {zero}:0000 {state} 00000000:00000000 00:00000000 00000000  0  0 12 1 0 100 0\n"
            )
        };
        let table = |protocol, lines: &[String]| {
            let text = format!("header\n{}", lines.concat());
            let ports = read(protocol, text.as_bytes(), &range_of("32768\t60999\n").unwrap()).unwrap();
            ports.into_iter().map(|(_, port)| port).collect::<BTreeSet<_>>()
        };
        let read = |lines: &[String]| table(Protocol::Tcp, lines);
        let other = line("020011AC", "0A").replace("1F90", "0050");
        let established = line("00000000", "01").replace("1F90", "0051");
        let found = read(&[line("0100007F", "0A"), other, established]);
        assert_eq!(found, BTreeSet::from([80]));
        assert_eq!(read(&[line("00000000", "0A")]), BTreeSet::from([8080]));
        assert_eq!(read(&[line(&"0".repeat(32), "0A")]), BTreeSet::from([8080]));
        assert_eq!(
            read(&[line("00000000000000000000000001000000", "0A")]),
            BTreeSet::new()
        );
        assert_eq!(
            read(&[line("0000000000000000FFFF00000100007F", "0A")]),
            BTreeSet::new()
        );
        let without_peer = line("00000000", "07");
        let connected = line("00000000", "01").replace("1F90", "0051");
        let client = line("00000000", "07").replace("1F90", "8001");
        let found = table(
            Protocol::Udp,
            &[
                without_peer,
                connected,
                client,
                line("0B00007F", "07").replace("1F90", "0035"),
            ],
        );
        assert_eq!(found, BTreeSet::from([8080]));
    }

    #[test]
    fn a_listener_of_this_process_is_found() {
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(ports().unwrap().contains(&(Protocol::Tcp, port)));
    }
}
