//! The kernel's connection tracking table (nf_conntrack). If it is full, the kernel drops packets of new connections,
//! which would look like a fault of the mesh.

use crate::error::Error;

const COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
const MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
/// Maximum utilisation in percent at the start of traffic.
const MAX_PERCENT: u64 = 85;

/// Checks that the table has room for traffic.
///
/// # Errors
/// At least 85 % of its entries are in use.
pub fn check() -> Result<(), Error> {
    let read = |path| std::fs::read_to_string(path).ok();
    let full = read(COUNT)
        .zip(read(MAX))
        .and_then(|(count, max)| full(&count, &max));
    full.map_or(Ok(()), |what| {
        let advice = format!("wait two minutes for old connections to expire, or raise {MAX}");
        Err(Error::environment(what, advice))
    })
}

/// Number of connections that fit into the table before [`check`] fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// If the table is empty.
    pub total: u64,
    /// With the current entries.
    pub free: u64,
}

/// The capacity of the table; `None` without connection tracking.
pub fn capacity() -> Option<Capacity> {
    let read = |path| std::fs::read_to_string(path).ok();
    capacity_of(&read(COUNT)?, &read(MAX)?)
}

fn capacity_of(count: &str, max: &str) -> Option<Capacity> {
    let (count, max): (u64, u64) = (count.trim().parse().ok()?, max.trim().parse().ok()?);
    let total = max.saturating_mul(MAX_PERCENT) / 100;
    (max > 0).then(|| Capacity {
        total,
        free: total.saturating_sub(count),
    })
}

/// The error message for a table that is too full; `None` for any other, or if the numbers do not parse.
fn full(count: &str, max: &str) -> Option<String> {
    let (count, max): (u64, u64) = (count.trim().parse().ok()?, max.trim().parse().ok()?);
    // A maximum of 0 means no limit.
    let full = max > 0 && count.saturating_mul(100) >= max.saturating_mul(MAX_PERCENT);
    full.then(|| {
        format!(
            "the kernel tracks {count} of at most {max} connections, and would soon drop packets of new ones"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_nearly_full_table_is_refused() {
        assert!(full("243229\n", "262144\n").is_some_and(|what| what.contains("243229")));
        assert_eq!(full("100\n", "262144\n"), None);
        assert_eq!(full("100\n", "0\n"), None);
        assert_eq!(full("", "262144"), None);
        assert_eq!(full("many", "few"), None);
    }

    #[test]
    fn the_free_capacity_is_zero_once_the_check_fails() {
        let capacity = |total, free| Some(Capacity { total, free });
        assert_eq!(capacity_of("20\n", "100\n"), capacity(85, 65));
        assert_eq!(capacity_of("90", "100"), capacity(85, 0));
        assert_eq!(capacity_of("20", "0"), None);
        assert_eq!(capacity_of("", "100"), None);
    }
}
