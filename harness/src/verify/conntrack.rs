//! The kernel's table of connections that it tracks, on machines that have one. Where it is full, packets are dropped
//! and connections fail: that would look like the mesh's fault.

use crate::error::Error;

const COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
const MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
/// How full, in percent, it may be before traffic begins.
const MOST: u64 = 85;

/// Refuses a machine whose table is nearly full.
///
/// # Errors
/// It is, with what can be done.
pub fn check() -> Result<(), Error> {
    let read = |path| std::fs::read_to_string(path).ok();
    let full = read(COUNT)
        .zip(read(MAX))
        .and_then(|(count, max)| full(&count, &max));
    full.map_or(Ok(()), |what| {
        let advice = format!("wait two minutes until old connections are forgotten, or raise {MAX}");
        Err(Error::environment(what, advice))
    })
}

/// How many connections can be tracked until traffic would no longer begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In an empty table.
    pub whole: u64,
    /// Now.
    pub left: u64,
}

/// The room in the table; none where nothing is tracked.
pub fn room() -> Option<Room> {
    let read = |path| std::fs::read_to_string(path).ok();
    room_of(&read(COUNT)?, &read(MAX)?)
}

fn room_of(count: &str, max: &str) -> Option<Room> {
    let (count, max): (u64, u64) = (count.trim().parse().ok()?, max.trim().parse().ok()?);
    let whole = max.saturating_mul(MOST) / 100;
    (max > 0).then(|| Room {
        whole,
        left: whole.saturating_sub(count),
    })
}

/// What to tell of a table that is too full; none of any other, or where the numbers are none.
fn full(count: &str, max: &str) -> Option<String> {
    let (count, max): (u64, u64) = (count.trim().parse().ok()?, max.trim().parse().ok()?);
    // 0 stands for no limit.
    let full = max > 0 && count.saturating_mul(100) >= max.saturating_mul(MOST);
    full.then(|| {
        format!(
            "the kernel tracks {count} connections and {max} at most: it would soon drop packets of new ones"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_table_that_is_nearly_full_is_refused() {
        assert!(full("243229\n", "262144\n").is_some_and(|what| what.contains("243229")));
        assert_eq!(full("100\n", "262144\n"), None);
        assert_eq!(full("100\n", "0\n"), None);
        assert_eq!(full("", "262144"), None);
        assert_eq!(full("many", "few"), None);
    }

    #[test]
    fn room_is_what_is_left_before_it_is_nearly_full() {
        let room = |whole, left| Some(Room { whole, left });
        assert_eq!(room_of("20\n", "100\n"), room(85, 65));
        assert_eq!(room_of("90", "100"), room(85, 0));
        assert_eq!(room_of("20", "0"), None);
        assert_eq!(room_of("", "100"), None);
    }
}
