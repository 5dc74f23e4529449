//! The successor's side: what a process does that is started by another one to take over from it.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::parent::ParentLink;
use super::state::{MAX_STATE, State, StateError};
use super::{CHANNEL, PARENT, READY, STARTED, TAKE_OVER};
use crate::activation::ActivatedSockets;

/// Timeout for the predecessor's state, which it sends at once.
const STATE_TIMEOUT: Duration = Duration::from_secs(10);

/// The process that hands over to this one.
#[derive(Debug)]
pub struct Predecessor {
    channel: UnixStream,
    parent: UnixStream,
}

impl Predecessor {
    /// The predecessor, if this process was started by one.
    #[must_use]
    pub fn of(sockets: &ActivatedSockets) -> Option<Self> {
        Some(Self {
            channel: sockets.take_channel(CHANNEL)?,
            parent: sockets.take_channel(PARENT)?,
        })
    }

    /// Asks for its state and waits for it.
    ///
    /// # Errors
    /// When it does not arrive in time, or cannot be used.
    pub fn state(&mut self) -> anyhow::Result<State> {
        let bytes = self
            .read_state()
            .context("the running sidecar hands nothing over")?;
        Ok(State::decode(&bytes)?)
    }

    fn read_state(&mut self) -> io::Result<Vec<u8>> {
        self.channel.set_read_timeout(Some(STATE_TIMEOUT))?;
        self.channel.write_all(&[STARTED])?;
        let mut length = [0; 8];
        self.channel.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        if length > MAX_STATE as u64 {
            return Err(io::Error::other(StateError::TooLarge(length)));
        }
        let mut bytes = Vec::new();
        (&self.channel).take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Says that this process is ready, and waits until its predecessor reads no socket any more.
    ///
    /// # Errors
    /// When the predecessor has ended, or gone on instead.
    pub async fn take_over(self) -> anyhow::Result<ParentLink> {
        let gone = "the running sidecar does not hand over";
        self.channel.set_nonblocking(true).context(gone)?;
        let mut channel = tokio::net::UnixStream::from_std(self.channel).context(gone)?;
        channel.write_u8(READY).await.context(gone)?;
        let message = channel.read_u8().await.context(gone)?;
        ensure!(message == TAKE_OVER, "{gone}: unknown message {message}");
        ParentLink::new(self.parent).context(gone)
    }
}
