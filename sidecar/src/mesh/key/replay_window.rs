//! The anti-replay window of one boot number (RFC 4303, section 3.4.3): which of its counters have been seen.
//!
//! A sender counts its messages to all nodes together, so one receiver sees few of the numbers, the fewer the larger the mesh
//! is. So the window holds the last numbers that arrived, not a range of numbers: messages may overtake each other by as many
//! as it holds, in a mesh of any size.

/// Messages of one sender that may overtake one of its messages before it is too old. Between two nodes that is 10 s of
/// messages and more. Each costs 8 bytes for each peer.
pub const WINDOW: usize = 64;

/// Which counters have been seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayWindow {
    /// All counters up to this one are too old.
    floor: u64,
    /// Those above it that have been seen, in ascending order.
    seen: Vec<u64>,
}

impl ReplayWindow {
    /// A window in which this counter and all before it are too old.
    #[must_use]
    pub fn after(floor: u64) -> Self {
        Self {
            floor,
            seen: Vec::new(),
        }
    }

    /// Whether a message with this counter counts: it was not seen before, and is not too old. It has been seen then.
    pub fn admit(&mut self, counter: u64) -> bool {
        if counter <= self.floor {
            return false;
        }
        let Err(place) = self.seen.binary_search(&counter) else {
            return false;
        };
        self.seen.insert(place, counter);
        if self.seen.len() > WINDOW {
            self.floor = self.seen.remove(0);
        }
        true
    }
}
