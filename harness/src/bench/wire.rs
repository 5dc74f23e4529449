//! What the load says to the backend: eight bytes that order an answer of a certain length. As little as a proxy can be
//! given to carry, and the same for all of them.

use std::io::{self, Read, Write};

/// The highest bit asks for the connection to stay open behind the answer.
const KEEP: u64 = 1 << 63;

/// An answer that is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    /// Its length in bytes, less than 2^63.
    pub(super) bytes: u64,
    /// Whether the connection stays open behind it; else the backend closes it, so that what lingers in TIME_WAIT is
    /// on the side that uses up no ports.
    pub(super) keep: bool,
}

impl Order {
    /// The answer of a request that is all its connection carries.
    pub(super) const SMALL: Self = Self {
        bytes: 64,
        keep: false,
    };

    pub(super) fn write(self, to: &mut impl Write) -> io::Result<()> {
        let flag = if self.keep { KEEP } else { 0 };
        to.write_all(&(self.bytes | flag).to_be_bytes())
    }

    pub(super) fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut bytes = [0; 8];
        from.read_exact(&mut bytes)?;
        let word = u64::from_be_bytes(bytes);
        Ok(Self {
            bytes: word & !KEEP,
            keep: word & KEEP != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ordered_is_understood() {
        for keep in [false, true] {
            for bytes in [0, 1, 2_000_000_000, KEEP - 1] {
                let order = Order { bytes, keep };
                let mut wire = Vec::new();
                order.write(&mut wire).unwrap();
                assert_eq!(Order::read(&mut wire.as_slice()).unwrap(), order);
            }
        }
        assert!(Order::read(&mut [0; 7].as_slice()).is_err());
    }
}
