//! The request from the load to the backend: eight bytes with the length of the response. It is the same for every
//! proxy, and short, so that the proxy's cost per connection dominates.

use std::io::{self, Read, Write};

/// The highest bit asks the backend to keep the connection open after the response.
const KEEP_OPEN: u64 = 1 << 63;

/// A request to the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BackendRequest {
    /// Length of the response in bytes, less than 2^63.
    pub(crate) response_bytes: u64,
    /// Whether the connection stays open after the response. Otherwise the backend closes it, so that the TIME_WAIT
    /// state does not occupy a port of the client.
    pub(crate) keep_open: bool,
}

impl BackendRequest {
    /// The only request of a short connection: 64 bytes, then close.
    pub(crate) const SHORT: Self = Self {
        response_bytes: 64,
        keep_open: false,
    };

    pub(crate) fn write(self, to: &mut impl Write) -> io::Result<()> {
        let flag = if self.keep_open { KEEP_OPEN } else { 0 };
        to.write_all(&(self.response_bytes | flag).to_be_bytes())
    }

    pub(crate) fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut bytes = [0; 8];
        from.read_exact(&mut bytes)?;
        let word = u64::from_be_bytes(bytes);
        Ok(Self {
            response_bytes: word & !KEEP_OPEN,
            keep_open: word & KEEP_OPEN != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_serialisation() {
        for keep_open in [false, true] {
            for response_bytes in [0, 1, 2_000_000_000, KEEP_OPEN - 1] {
                let request = BackendRequest {
                    response_bytes,
                    keep_open,
                };
                let mut bytes = Vec::new();
                request.write(&mut bytes).unwrap();
                assert_eq!(BackendRequest::read(&mut bytes.as_slice()).unwrap(), request);
            }
        }
        assert!(BackendRequest::read(&mut [0; 7].as_slice()).is_err());
    }
}
