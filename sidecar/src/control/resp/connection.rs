//! One connection: requests in, answers out, in order.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::attempts::Attempts;
use super::request::{self, ProtocolError};
use super::server::Limits;
use super::session::{Login, Session, Step};
use crate::control::credential::Credential;
use crate::control::{Command, Controller, Reply};
use crate::lingering_close::lingering_close;

/// How many bytes are asked of the system at a time.
const READ_SIZE: usize = 4 * 1024;
/// From how many bytes on answers are sent before the next request is looked at.
const ANSWERS_SIZE: usize = 32 * 1024;

/// What all connections share.
pub(super) struct Door {
    controller: Arc<Controller>,
    credential: Option<Credential>,
    attempts: Mutex<Attempts>,
    limits: Limits,
    stop: CancellationToken,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The client left.
    Left,
    /// It said QUIT, or something that is answered with the end.
    Closed,
    /// It did not speak the protocol.
    Protocol,
    /// It took too long.
    TooSlow,
    /// The sidecar stops.
    Stopping,
}

impl Door {
    pub(super) fn new(
        controller: Arc<Controller>,
        credential: Option<Credential>,
        limits: Limits,
        stop: CancellationToken,
    ) -> Self {
        Self {
            controller,
            credential,
            attempts: Mutex::default(),
            limits,
            stop,
        }
    }

    async fn execute(&self, command: Command) -> Answer {
        match self.controller.execute(command).await {
            Ok(Reply::Done) => Answer::OK,
            Ok(Reply::Unsaved(error)) => Answer::Error("UNSAVED", error.of_a_change()),
            Ok(Reply::Lines(lines)) => Answer::Array(lines.into_iter().map(Answer::text).collect()),
            Ok(Reply::Count(count)) => Answer::Integer(i64::try_from(count).unwrap_or(i64::MAX)),
            Err(error) => Answer::error(error.to_string()),
        }
    }

    /// Looks at a password when it is its turn. `None` where it was not looked at.
    async fn check(&self, login: &Login, peer: SocketAddr) -> Option<bool> {
        let turn = self.attempts(|attempts, now| attempts.turn(peer.ip(), now));
        tokio::time::sleep(turn.ok()?).await;
        let right = self
            .credential
            .as_ref()
            .is_some_and(|c| c.matches(&login.password));
        if !right {
            tracing::warn!(%peer, "a wrong password for the RESP controller");
            let pause = self.attempts(|attempts, now| attempts.wrong(peer.ip(), now));
            tokio::time::sleep(pause).await;
        }
        Some(right)
    }

    fn attempts<T>(&self, act: impl FnOnce(&mut Attempts, std::time::Instant) -> T) -> T {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut attempts, std::time::Instant::now())
    }
}

/// Serves one client to its end.
pub(super) async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    id: i64,
    door: Arc<Door>,
) -> io::Result<End> {
    stream.set_nodelay(true)?;
    let mut connection = Connection {
        session: Session::new(id, door.credential.is_some()),
        stream,
        peer,
        door,
        anonymous_since: Instant::now(),
        received: BytesMut::new(),
        answers: Vec::new(),
    };
    let end = connection.run().await?;
    if matches!(end, End::Closed | End::Protocol) {
        let stop = connection.door.stop.clone();
        let dismissal = lingering_close(&mut connection.stream, &[]);
        stop.run_until_cancelled(dismissal).await.unwrap_or(Ok(()))?;
    }
    Ok(end)
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    door: Arc<Door>,
    session: Session,
    /// Since when it is to authenticate, if it is.
    anonymous_since: Instant,
    /// What is received and not yet understood.
    received: BytesMut,
    /// What is to be sent.
    answers: Vec<u8>,
}

impl Connection {
    async fn run(&mut self) -> io::Result<End> {
        loop {
            let end = self.answer_received().await?;
            if let Some(end) = self.flush().await?.or(end) {
                return Ok(end);
            }
            if let Some(end) = self.receive().await? {
                return Ok(end);
            }
        }
    }

    /// Answers all requests that are there whole.
    async fn answer_received(&mut self) -> io::Result<Option<End>> {
        loop {
            if self.door.stop.is_cancelled() {
                return Ok(Some(End::Stopping));
            }
            if self.answers.len() >= ANSWERS_SIZE
                && let Some(end) = self.flush().await?
            {
                return Ok(Some(end));
            }
            let decoded = match request::decode(&self.received) {
                Ok(Some(decoded)) => decoded,
                Ok(None) => return Ok(None),
                Err(error) => {
                    self.refuse(&error);
                    return Ok(Some(End::Protocol));
                }
            };
            self.received.advance(decoded.used);
            if !decoded.words.is_empty()
                && let Some(end) = self.answer(&decoded.words).await?
            {
                return Ok(Some(end));
            }
        }
    }

    async fn answer(&mut self, words: &[Vec<u8>]) -> io::Result<Option<End>> {
        let mut end = None;
        let answer = match self.session.step(words) {
            Step::Answer(answer) => answer,
            Step::Close(answer) => {
                end = Some(End::Closed);
                answer
            }
            Step::Execute(command) => {
                let answer = self.door.execute(command).await;
                // Many of them may be here at once, and discovery has the same thread.
                tokio::task::yield_now().await;
                answer
            }
            Step::Login(login) => {
                // What was answered before need not wait for this.
                if let Some(end) = self.flush().await? {
                    return Ok(Some(end));
                }
                let door = Arc::clone(&self.door);
                match door.stop.run_until_cancelled(door.check(&login, self.peer)).await {
                    None => return Ok(Some(End::Stopping)),
                    Some(Some(right)) => self.session.logged_in(login, right),
                    Some(None) => {
                        end = Some(End::Closed);
                        Answer::error("too many wrong passwords from this address; try again later")
                    }
                }
            }
        };
        answer.encode(self.session.version(), &mut self.answers);
        if self.session.authenticated() {
            self.anonymous_since = Instant::now();
        }
        Ok(end)
    }

    fn refuse(&mut self, error: &ProtocolError) {
        let answer = Answer::error(format!("Protocol error: {error}"));
        answer.encode(self.session.version(), &mut self.answers);
    }

    /// Sends the answers.
    async fn flush(&mut self) -> io::Result<Option<End>> {
        if self.answers.is_empty() {
            return Ok(None);
        }
        let sent = timeout(self.door.limits.transfer, self.stream.write_all(&self.answers)).await;
        self.answers.clear();
        self.answers.shrink_to(ANSWERS_SIZE);
        match sent {
            Ok(sent) => sent.map(|()| None),
            Err(_) => Ok(Some(End::TooSlow)),
        }
    }

    /// Waits for more of a request, until it could be one whole.
    async fn receive(&mut self) -> io::Result<Option<End>> {
        let limits = &self.door.limits;
        let now = Instant::now();
        let deadline = match (self.session.authenticated(), self.received.is_empty()) {
            (false, _) => self.anonymous_since + limits.authentication,
            (true, true) => now + limits.idle,
            (true, false) => now + limits.transfer,
        };
        let fresh = self.received.is_empty();
        loop {
            self.received.reserve(READ_SIZE);
            let read = timeout_at(deadline, self.stream.read_buf(&mut self.received));
            match self.door.stop.run_until_cancelled(read).await {
                None => return Ok(Some(End::Stopping)),
                Some(Err(_)) => return Ok(Some(End::TooSlow)),
                Some(Ok(count)) => {
                    if count? == 0 {
                        return Ok(Some(End::Left));
                    }
                }
            }
            // One that was silent has all the time of a request from its first bytes on; one that is in the midst
            // of a request has no more for sending it in small pieces.
            if fresh || !matches!(request::decode(&self.received), Ok(None)) {
                return Ok(None);
            }
        }
    }
}
