//! What clients ask about the server: those of redis when they connect, and people about the commands.

use super::{Answer, no_such};
use crate::control::reference;

/// The version of redis whose requests about connections are answered. Clients choose by it what they send.
const REDIS_VERSION: &str = "7.2.0";

/// `COMMAND ...`: clients use redis' commands for completion; there are none here.
pub(super) fn commands(arguments: &[&[u8]]) -> Answer {
    let Some((sub, names)) = arguments.split_first() else {
        return Answer::Array(Vec::new());
    };
    match sub.to_ascii_lowercase().as_slice() {
        b"docs" => Answer::Map(Vec::new()),
        b"count" => Answer::Integer(0),
        b"list" => Answer::Array(Vec::new()),
        b"info" => Answer::Array(vec![Answer::Null; names.len()]),
        _ => no_such("COMMAND", sub, "COUNT, DOCS, INFO or LIST"),
    }
}

/// What `INFO` says about the server's work: `redis-cli --stat` shows it.
#[derive(Debug, Default)]
pub(in super::super) struct Figures {
    /// Open connections.
    pub(in super::super) clients: u64,
    /// Connections since the start.
    pub(in super::super) connections: i64,
    /// Requests since the start.
    pub(in super::super) requests: u64,
}

/// `INFO [SECTION...]`: clients wait until it says that nothing is being loaded, and read the version.
pub(in super::super) fn info(wanted: &[Vec<u8>], figures: &Figures) -> Answer {
    let server = format!(
        "redis_version:{REDIS_VERSION}\r\nredis_mode:standalone\r\nserver_name:{}\r\nserver_version:{}\r\n\
         process_id:{}\r\n",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_VERSION"),
        std::process::id()
    );
    let clients = format!("connected_clients:{}\r\nblocked_clients:0\r\n", figures.clients);
    let memory = format!("used_memory:{}\r\n", resident_bytes().unwrap_or_default());
    let stats = format!(
        "total_connections_received:{}\r\ntotal_commands_processed:{}\r\n",
        figures.connections, figures.requests
    );
    let sections = [
        ("Server", server.as_str()),
        ("Clients", clients.as_str()),
        ("Memory", memory.as_str()),
        (
            "Persistence",
            "loading:0\r\nrdb_bgsave_in_progress:0\r\naof_rewrite_in_progress:0\r\n",
        ),
        ("Stats", stats.as_str()),
        ("Replication", "role:master\r\nconnected_slaves:0\r\n"),
        ("Cluster", "cluster_enabled:0\r\n"),
        ("Keyspace", ""),
    ];
    let is_wanted = |name: &str| {
        let is = |word: &Vec<u8>| {
            [name, "default", "all", "everything"]
                .iter()
                .any(|section| word.eq_ignore_ascii_case(section.as_bytes()))
        };
        wanted.is_empty() || wanted.iter().any(is)
    };
    let shown = sections.iter().filter(|(name, _)| is_wanted(name));
    let text: Vec<String> = shown
        .map(|(name, lines)| format!("# {name}\r\n{lines}"))
        .collect();
    Answer::text(text.join("\r\n"))
}

/// `man`, `help`, `man ACTION|RESOURCE|KEY`, `man RESOURCE ACTION`: lines about the command language. redis-cli keeps
/// `help` for itself.
pub(super) fn manual(subject: &[&[u8]]) -> Answer {
    let subject: Vec<_> = subject.iter().map(|word| String::from_utf8_lossy(word)).collect();
    let words: Vec<&str> = subject.iter().map(AsRef::as_ref).collect();
    match reference::manual(&words) {
        Some(text) => Answer::Array(text.lines().map(Answer::text).collect()),
        None => Answer::Refused(format!(
            "no manual entry for {}; `man` alone lists actions, resources and keys",
            words.join(" ")
        )),
    }
}

/// The memory of this process (proc_pid_statm(5), second field).
fn resident_bytes() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size())
}
