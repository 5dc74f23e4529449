//! What is left out of a peer's message.

/// The elements that decoding left out of a message's lists, because this node cannot use them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dropped {
    count: usize,
    first: Option<String>,
}

/// Limit of a reason, in bytes: it contains what a peer has sent.
const MAX_REASON: usize = 300;

impl Dropped {
    /// Their number.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Which element was the first, and why it was left out.
    pub fn first(&self) -> Option<&str> {
        self.first.as_deref()
    }

    pub(in crate::mesh) fn note(&mut self, mut reason: String) {
        self.count += 1;
        if self.first.is_none() {
            reason.truncate(reason.floor_char_boundary(MAX_REASON));
            self.first = Some(reason);
        }
    }
}
