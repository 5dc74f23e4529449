//! Figures of this process, from /proc.

use std::sync::LazyLock;

use rustix::param::clock_ticks_per_second;
use rustix::process::{Resource, getrlimit};

use crate::limits::open_files;

/// Figures of this process; `None` if the system does not report one.
#[derive(Debug, Default)]
pub(super) struct Process {
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) max_virtual_bytes: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) open_files: Option<u64>,
    pub(super) max_open_files: Option<u64>,
    pub(super) cpu_seconds: Option<f64>,
    /// Since the Unix epoch.
    pub(super) start_seconds: Option<f64>,
}

impl Process {
    /// Reads the figures. Does not block, because /proc is not backed by a disk.
    pub(super) fn read() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let seconds = |ticks: u64| ticks as f64 / clock_ticks_per_second() as f64;
        Self {
            resident_bytes: field(&status, "VmRSS:").map(|kib| kib * 1024),
            virtual_bytes: field(&status, "VmSize:").map(|kib| kib * 1024),
            // Without a limit, the largest number, as in Prometheus' own clients.
            max_virtual_bytes: Some(getrlimit(Resource::As).current.unwrap_or(u64::MAX)),
            threads: field(&status, "Threads:"),
            open_files: open_files(),
            max_open_files: Some(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)),
            cpu_seconds: cpu_ticks(&stat).map(seconds),
            start_seconds: start_ticks(&stat)
                .zip(boot_seconds())
                .map(|(ticks, boot)| boot + seconds(ticks)),
        }
    }
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system CPU time (proc_pid_stat(5), fields 14 and 15).
fn cpu_ticks(stat: &str) -> Option<u64> {
    Some(number(stat, 14)? + number(stat, 15)?)
}

/// The start, since the boot (proc_pid_stat(5), field 22).
fn start_ticks(stat: &str) -> Option<u64> {
    number(stat, 22)
}

/// A field of proc_pid_stat(5), counted from 1. The second field may contain spaces; it ends at the last parenthesis.
fn number(stat: &str, field: usize) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(field - 3)?.parse().ok()
}

/// The time of the boot since the Unix epoch (proc_stat(5)). Read once: it moves whenever the clock is set, and the start
/// of the process would move with it.
fn boot_seconds() -> Option<f64> {
    static BOOT: LazyLock<Option<f64>> = LazyLock::new(|| {
        let stat = std::fs::read_to_string("/proc/stat").ok()?;
        field(&stat, "btime ").map(|seconds| seconds as f64)
    });
    *BOOT
}
