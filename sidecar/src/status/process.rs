//! Figures of this process, from /proc.

use std::path::Path;

use rustix::param::clock_ticks_per_second;
use rustix::process::{Resource, getrlimit};

/// Figures of this process; `None` if the system does not report one.
#[derive(Debug, Default)]
pub(super) struct Process {
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) open_files: Option<u64>,
    pub(super) max_open_files: Option<u64>,
    pub(super) cpu_seconds: Option<f64>,
}

impl Process {
    /// Reads the figures. Does not block, because /proc is not backed by a disk.
    pub(super) fn read() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        Self {
            resident_bytes: field(&status, "VmRSS:").map(|kib| kib * 1024),
            virtual_bytes: field(&status, "VmSize:").map(|kib| kib * 1024),
            threads: field(&status, "Threads:"),
            open_files: open_files(),
            max_open_files: getrlimit(Resource::Nofile).current,
            cpu_seconds: cpu_ticks(&stat).map(|ticks| ticks as f64 / clock_ticks_per_second() as f64),
        }
    }
}

/// Number of open descriptors: the directory's size since Linux 6.2 (proc_pid_fd(5)); with older kernels, the number
/// of its entries.
fn open_files() -> Option<u64> {
    let directory = Path::new("/proc/self/fd");
    match directory.metadata().ok()?.len() {
        0 => Some(directory.read_dir().ok()?.count() as u64),
        known => Some(known),
    }
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system CPU time (proc_pid_stat(5), fields 14 and 15). The second field may contain spaces; it ends at the
/// last parenthesis.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}
