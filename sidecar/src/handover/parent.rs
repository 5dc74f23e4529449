//! The link between the process that was started first and the successor that serves.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{SendFlags, send};
use rustix::process::Pid;

/// Length of a message: a process id.
const MESSAGE: usize = 4;

/// The first process's end: learns which process serves.
#[derive(Debug)]
pub struct Successors(tokio::net::UnixStream);

/// A successor's end. It is passed on to the next.
#[derive(Debug)]
pub struct ParentLink(tokio::net::UnixStream);

/// A new link: the first process's end, and the one for its successor.
///
/// # Errors
/// When the system cannot create it.
pub fn link() -> io::Result<(Successors, OwnedFd)> {
    let (ours, theirs) = UnixStream::pair()?;
    Ok((Successors(registered(ours)?), theirs.into()))
}

fn registered(stream: UnixStream) -> io::Result<tokio::net::UnixStream> {
    stream.set_nonblocking(true)?;
    tokio::net::UnixStream::from_std(stream)
}

impl Successors {
    /// Waits for the next process that serves; `None` after the last. Cancellation-safe.
    pub async fn next(&mut self) -> Option<Pid> {
        loop {
            self.0.readable().await.ok()?;
            let mut message = [0; MESSAGE];
            // A message arrives as a whole: it is sent at once, and shorter than any buffer.
            match self.0.try_read(&mut message) {
                Ok(MESSAGE) => return Pid::from_raw(i32::from_ne_bytes(message)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(_) | Err(_) => return None,
            }
        }
    }
}

impl ParentLink {
    /// The link that this process was started with.
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        Ok(Self(registered(stream)?))
    }

    /// Reports the process that serves from now on.
    ///
    /// # Errors
    /// When the first process has ended.
    pub fn report(&self, successor: Pid) -> io::Result<()> {
        let message = successor.as_raw_pid().to_ne_bytes();
        // The socket's buffer has room for thousands.
        send(&self.0, &message, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// The end for the next successor.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        self.0.as_fd().try_clone_to_owned()
    }

    /// Waits for the end of the first process. Cancellation-safe.
    pub async fn ended(&self) {
        // Nothing is ever sent this way, so only the end makes it readable.
        let _ = self.0.readable().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_process_learns_of_each_successor_and_they_of_its_end() {
        let (mut successors, end) = link().unwrap();
        let link = ParentLink::new(end.into()).unwrap();
        let pids = [7, 4_194_304].map(|pid| Pid::from_raw(pid).unwrap());
        for pid in pids {
            link.report(pid).unwrap();
        }
        let next = ParentLink::new(link.duplicate().unwrap().into()).unwrap();
        drop(link);
        for pid in pids {
            assert_eq!(successors.next().await, Some(pid));
        }
        drop(successors);
        next.ended().await;
        assert!(next.report(pids[0]).is_err());
    }

    #[tokio::test]
    async fn there_is_no_successor_after_the_last_end_is_closed() {
        let (mut successors, end) = link().unwrap();
        drop(end);
        assert_eq!(successors.next().await, None);
    }
}
