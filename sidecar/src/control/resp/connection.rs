//! One connection: reads requests and writes their answers in order.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::attempts::Attempts;
use super::backlog::Backlog;
use super::limits::Limits;
use super::places::{Connections, Place, Standing};
use super::request::{self, MAX_REQUEST, ProtocolError};
use super::session::{Figures, Login, Session, Step, info};
use crate::control::credential::Credential;
use crate::control::{Controller, Parsed, Reply};
use crate::lingering_close::lingering_close;

/// Size of a read, in bytes.
const READ_SIZE: usize = 4 * 1024;
/// Size of a read while answers are sent, in bytes.
const BACKLOG_READ_SIZE: usize = 64 * 1024;
/// Size of pending answers, in bytes, at which they are sent before the next request is handled.
const ANSWERS_SIZE: usize = 32 * 1024;

/// State shared by all connections.
pub(super) struct Shared {
    controller: Arc<Controller>,
    credential: Option<Credential>,
    attempts: Mutex<Attempts>,
    pub(super) connections: Arc<Connections>,
    /// The bytes of requests that may wait; see [`Limits::backlog`].
    backlog: Arc<Semaphore>,
    limits: Limits,
    /// The number of the next connection, from 1.
    pub(super) next_id: AtomicI64,
    requests: AtomicU64,
    pub(super) stop: CancellationToken,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The client closed it.
    Left,
    /// The client sent QUIT, or a request that is answered by closing.
    Closed,
    /// A request violated the protocol.
    Protocol,
    /// A timeout expired.
    TooSlow,
    /// It did not read its answers before the timeout.
    Unread,
    /// The sidecar is stopping.
    Stopping,
}

impl Shared {
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
            connections: Arc::default(),
            backlog: Arc::new(Semaphore::new(limits.backlog)),
            limits,
            next_id: AtomicI64::new(1),
            requests: AtomicU64::new(0),
            stop,
        }
    }

    fn figures(&self) -> Figures {
        Figures {
            clients: self.connections.count(),
            connections: self.next_id.load(Ordering::Relaxed) - 1,
            requests: self.requests.load(Ordering::Relaxed),
        }
    }

    async fn execute(&self, Parsed { command, remarks }: Parsed) -> Answer {
        let outcome = self.controller.execute(command).await;
        if outcome.is_ok() {
            remarks.log("RESP controller");
        }
        match outcome {
            Ok(Reply::Done) => Answer::OK,
            Ok(Reply::Unsaved(error)) => Answer::Error("UNSAVED", error.of_a_change()),
            Ok(Reply::Lines(lines)) => Answer::Array(lines.into_iter().map(Answer::text).collect()),
            Ok(Reply::Count(count)) => Answer::Integer(i64::try_from(count).unwrap_or(i64::MAX)),
            Err(error) => Answer::Refused(error.to_string()),
        }
    }

    /// Checks a password, after the delay that earlier wrong ones cause.
    async fn check(&self, login: &Login, peer: SocketAddr, place: &Place) -> bool {
        place.set(Standing::Checking);
        let delay = self.attempts(|attempts, now| attempts.schedule(peer.ip(), now));
        tokio::time::sleep(delay).await;
        let right = self
            .credential
            .as_ref()
            .is_some_and(|c| c.matches(&login.password));
        if !right {
            tracing::warn!(%peer, "a wrong password for the RESP controller");
            // While its answer is delayed, it may make room.
            place.set(Standing::Silent);
            let pause = self.attempts(|attempts, now| attempts.wrong(peer.ip(), now));
            tokio::time::sleep(pause).await;
        }
        right
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
    place: Place,
    shared: Arc<Shared>,
) -> io::Result<End> {
    stream.set_nodelay(true)?;
    let mut connection = Connection {
        session: Session::new(id, shared.credential.is_some()),
        stream,
        peer,
        place,
        backlog: Backlog::new(Arc::clone(&shared.backlog)),
        shared,
        anonymous_since: Instant::now(),
        received: BytesMut::new(),
        ended: false,
        answers: Vec::new(),
        sent: 0,
    };
    let end = connection.run().await?;
    let stop = connection.shared.stop.clone();
    let dismissal = async {
        match end {
            End::Closed | End::Protocol => lingering_close(&mut connection.stream, &[]).await,
            End::Unread => connection.give_up().await,
            End::Left | End::TooSlow | End::Stopping => Ok(()),
        }
    };
    stop.run_until_cancelled(dismissal).await.unwrap_or(Ok(()))?;
    Ok(end)
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
    shared: Arc<Shared>,
    session: Session,
    /// When it last became unauthenticated.
    anonymous_since: Instant,
    /// Received bytes that are not yet parsed.
    received: BytesMut,
    /// The share of the common backlog that holds them, if they are many.
    backlog: Backlog,
    /// Whether the client has ended its side.
    ended: bool,
    /// Encoded answers, of which the first `sent` bytes are sent.
    answers: Vec<u8>,
    sent: usize,
}

impl Connection {
    async fn run(&mut self) -> io::Result<End> {
        loop {
            let end = self.answer_received().await?;
            let left = self.received.len();
            if let Some(end) = self.flush().await?.or(end) {
                return Ok(end);
            }
            if self.received.len() > left {
                // More requests arrived meanwhile.
                continue;
            }
            if left <= MAX_REQUEST && self.backlog.release() {
                self.received = BytesMut::from(&self.received[..]);
            }
            if let Some(end) = self.receive().await? {
                return Ok(end);
            }
        }
    }

    /// Answers all requests that were received completely.
    async fn answer_received(&mut self) -> io::Result<Option<End>> {
        loop {
            if self.shared.stop.is_cancelled() {
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
        self.shared.requests.fetch_add(1, Ordering::Relaxed);
        let answer = match self.session.step(words) {
            Step::Answer(answer) => answer,
            Step::Info(sections) => info(&sections, &self.shared.figures()),
            Step::Close(answer) => {
                end = Some(End::Closed);
                answer
            }
            Step::Execute(parsed) => {
                let answer = self.shared.execute(parsed).await;
                // A pipeline may hold many commands, and discovery runs on the same thread.
                tokio::task::yield_now().await;
                answer
            }
            Step::Login(login) => {
                // Earlier answers need not wait for the check.
                if let Some(end) = self.flush().await? {
                    return Ok(Some(end));
                }
                let shared = Arc::clone(&self.shared);
                match shared
                    .stop
                    .run_until_cancelled(shared.check(&login, self.peer, &self.place))
                    .await
                {
                    None => return Ok(Some(End::Stopping)),
                    Some(right) => self.session.logged_in(login, right),
                }
            }
        };
        answer.encode(self.session.version(), &mut self.answers);
        if self.session.authenticated() {
            self.anonymous_since = Instant::now();
            self.place.set(Standing::Known);
        } else {
            self.place.set(Standing::Silent);
        }
        Ok(end)
    }

    fn refuse(&mut self, error: &ProtocolError) {
        let answer = Answer::error(format!("Protocol error: {error}"));
        answer.encode(self.session.version(), &mut self.answers);
    }

    /// Sends the answers.
    async fn flush(&mut self) -> io::Result<Option<End>> {
        let sent = timeout(self.shared.limits.transfer, self.send()).await;
        if let Ok(sent) = sent {
            self.answers.clear();
            self.answers.shrink_to(ANSWERS_SIZE);
            self.sent = 0;
            sent.map(|()| None)
        } else {
            Ok(Some(End::Unread))
        }
    }

    /// Sends the answers, and receives further requests meanwhile: a client may send all its requests before it reads
    /// the first answer.
    async fn send(&mut self) -> io::Result<()> {
        let (mut from, mut to) = self.stream.split();
        while self.sent < self.answers.len() {
            let room = self.session.authenticated()
                && !self.ended
                && self.backlog.grow(self.received.len() + BACKLOG_READ_SIZE);
            tokio::select! {
                biased;
                written = to.write(&self.answers[self.sent..]) => match written? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    count => self.sent += count,
                },
                read = read(&mut from, &mut self.received), if room => self.ended = read? == 0,
            }
        }
        Ok(())
    }

    /// Ends with an error that the client can read once it has sent its requests: they are discarded.
    async fn give_up(&mut self) -> io::Result<()> {
        let limits = &self.shared.limits;
        let text = format!(
            "answers were not read for {:?}, and {} bytes of requests may wait meanwhile; read answers while sending \
             requests, or send fewer at once",
            limits.transfer, limits.backlog
        );
        Answer::error(text).encode(self.session.version(), &mut self.answers);
        self.received = BytesMut::new();
        self.backlog.release();
        let (mut from, mut to) = self.stream.split();
        let send = async {
            to.write_all(&self.answers[self.sent..]).await?;
            to.shutdown().await
        };
        let mut nowhere = tokio::io::sink();
        let discard = tokio::io::copy(&mut from, &mut nowhere);
        let both = timeout(limits.transfer, async { tokio::try_join!(send, discard) });
        both.await.map_or(Ok(()), |both| both.map(|_| ()))
    }

    /// Receives until a request may be complete.
    async fn receive(&mut self) -> io::Result<Option<End>> {
        if self.ended {
            return Ok(Some(End::Left));
        }
        let limits = &self.shared.limits;
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
            match self.shared.stop.run_until_cancelled(read).await {
                None => return Ok(Some(End::Stopping)),
                Some(Err(_)) => return Ok(Some(End::TooSlow)),
                Some(Ok(count)) => {
                    if count? == 0 {
                        return Ok(Some(End::Left));
                    }
                }
            }
            // The transfer timeout of a request starts with its first bytes, and further pieces do not extend it.
            if fresh || !matches!(request::decode(&self.received), Ok(None)) {
                return Ok(None);
            }
        }
    }
}

async fn read(from: &mut (impl AsyncReadExt + Unpin), received: &mut BytesMut) -> io::Result<usize> {
    received.reserve(BACKLOG_READ_SIZE);
    from.read_buf(received).await
}
