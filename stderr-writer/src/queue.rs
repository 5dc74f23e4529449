//! The lines that wait to be written, bounded in bytes.

use std::collections::VecDeque;

/// What is written next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A line as it was passed, with its line break.
    Line(Vec<u8>),
    /// Number of lines that were dropped at this place for lack of room.
    Dropped(u64),
}

/// A queue of lines. Never holds two gaps in a row.
#[derive(Debug)]
pub(crate) struct Queue {
    entries: VecDeque<Entry>,
    /// Size of the lines, each with its entry.
    bytes: usize,
    limit: usize,
}

impl Queue {
    /// An empty queue for lines of `limit` bytes in all.
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
            limit,
        }
    }

    /// Adds a line, or drops it if there is no room; returns whether it was added.
    ///
    /// After a drop, all lines are dropped until half of the queue has been written: a reader that is merely slow gets
    /// few long gaps instead of one after every line.
    pub(crate) fn push(&mut self, line: &[u8]) -> bool {
        let limit = match self.entries.back() {
            Some(Entry::Dropped(_)) => self.limit / 2,
            _ => self.limit,
        };
        if self.bytes + size(line) <= limit {
            self.bytes += size(line);
            self.entries.push_back(Entry::Line(line.to_vec()));
            return true;
        }
        match self.entries.back_mut() {
            Some(Entry::Dropped(lines)) => *lines += 1,
            _ => self.entries.push_back(Entry::Dropped(1)),
        }
        false
    }

    /// Takes the oldest entry.
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        if let Entry::Line(line) = &entry {
            self.bytes -= size(line);
        }
        Some(entry)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn size(line: &[u8]) -> usize {
    line.len() + size_of::<Entry>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 1_000;

    proptest! {
        /// A step pushes a line of the given length, or pops without one.
        #[test]
        fn lines_keep_their_order_and_gaps_count_those_that_are_missing(
            steps in prop::collection::vec(prop::option::weighted(0.7, 0..LIMIT * 3 / 2), 0..300)
        ) {
            let mut queue = Queue::new(LIMIT);
            let (mut pushed, mut popped) = (0_u64, 0_u64);
            let mut line = Vec::new();
            let check = |entry: Option<Entry>, popped: &mut u64| match entry {
                Some(Entry::Line(line)) => {
                    assert_eq!(line[..8], popped.to_be_bytes());
                    *popped += 1;
                }
                Some(Entry::Dropped(lines)) => {
                    assert!(lines > 0);
                    *popped += lines;
                }
                None => {}
            };
            for step in steps {
                match step {
                    Some(length) => {
                        line.clear();
                        line.extend(pushed.to_be_bytes());
                        line.resize(8 + length, b'x');
                        let fits_alone = size(&line) <= LIMIT / 2;
                        prop_assert!(queue.push(&line) || !fits_alone || !queue.is_empty());
                        pushed += 1;
                    }
                    None => check(queue.pop(), &mut popped),
                }
                prop_assert!(queue.bytes <= LIMIT);
            }
            while !queue.is_empty() {
                check(queue.pop(), &mut popped);
            }
            prop_assert_eq!(popped, pushed);
            prop_assert_eq!(queue.bytes, 0);
        }
    }

    #[test]
    fn after_a_drop_lines_are_dropped_until_half_is_written() {
        let line = vec![b'x'; LIMIT / 10 - size_of::<Entry>()];
        let mut queue = Queue::new(LIMIT);
        let accepted = (0..15).filter(|_| queue.push(&line)).count();
        assert_eq!(accepted, 10);
        for _ in 0..5 {
            assert!(!queue.push(&line));
            assert!(matches!(queue.pop(), Some(Entry::Line(_))));
        }
        assert!(!queue.push(&line), "just half is left");
        queue.pop();
        assert!(queue.push(&line));
        for _ in 0..4 {
            assert!(matches!(queue.pop(), Some(Entry::Line(_))));
        }
        assert_eq!(queue.pop(), Some(Entry::Dropped(11)));
        assert_eq!(queue.pop(), Some(Entry::Line(line)));
        assert_eq!(queue.pop(), None);
    }
}
