//! `sidecar listening`: the TCP ports on which programs listen in the network namespace, for containers without tools.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, ErrorKind, Write};

use anyhow::Context;
use procfs_core::net::{TcpNetEntries, TcpState};
use procfs_core::{ExplicitSystemInfo, FromBufReadSI};

/// The kernel's tables of sockets.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// Prints the ports, a line each.
///
/// # Errors
/// When they cannot be read or printed.
pub(crate) fn print() -> anyhow::Result<()> {
    let lines: String = ports()?.iter().map(|port| format!("{port}\n")).collect();
    std::io::stdout()
        .write_all(lines.as_bytes())
        .context("cannot print")
}

/// The ports, without those on loopback addresses, which no other container reaches.
///
/// # Errors
/// When a table cannot be read. Without IPv6 one is missing, which is no error.
fn ports() -> anyhow::Result<BTreeSet<u16>> {
    let mut ports = BTreeSet::new();
    for table in TABLES {
        match std::fs::File::open(table) {
            Ok(file) => {
                ports.extend(read(BufReader::new(file)).with_context(|| format!("cannot read {table}"))?);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot open {table}")),
        }
    }
    Ok(ports)
}

fn read(table: impl BufRead) -> anyhow::Result<BTreeSet<u16>> {
    // Only the byte order counts for sockets.
    let system = ExplicitSystemInfo {
        boot_time_secs: 0,
        ticks_per_second: 1,
        page_size: 1,
        is_little_endian: cfg!(target_endian = "little"),
    };
    let TcpNetEntries(entries) = TcpNetEntries::from_buf_read(table, &system)?;
    let reached = entries.into_iter().filter(|entry| {
        entry.state == TcpState::Listen && !entry.local_address.ip().to_canonical().is_loopback()
    });
    Ok(reached.map(|entry| entry.local_address.port()).collect())
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
        let read = |lines: &[String]| read(format!("header\n{}", lines.concat()).as_bytes()).unwrap();
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
    }

    #[test]
    fn a_listener_of_this_process_is_found() {
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        assert!(ports().unwrap().contains(&listener.local_addr().unwrap().port()));
    }
}
