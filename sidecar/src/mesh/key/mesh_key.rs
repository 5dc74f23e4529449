//! The key of one node: seals what it sends, opens what it receives, and decides what of that counts.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use rand::RngExt;

use super::boots::Boots;
use super::envelope::{self, Context, Kind, Nonce, Opened, Request};
use super::keys::Keys;

/// The key of one node, shared by its tasks.
#[derive(Debug)]
pub struct MeshKey {
    keys: RwLock<Arc<Keys>>,
    boot: u64,
    counter: AtomicU64,
    boots: Mutex<Boots>,
}

/// What a datagram that was opened is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It counts, and was used.
    Counts,
    /// Its boot number is unknown, and its sender is to be asked now.
    Hint,
    /// Its boot number is unknown, and a node at its address was asked within this second.
    Asked,
    /// It is a copy of an earlier datagram, or very late.
    Replayed,
}

/// A datagram that was opened. It counts only if [`MeshKey::admit`] admits it.
#[derive(Debug)]
pub struct OpenedDatagram {
    /// What was sealed.
    pub content: Vec<u8>,
    nonce: Nonce,
}

/// A request that was opened.
#[derive(Debug)]
pub enum Question {
    /// It counts; and how to answer it.
    Fresh(Vec<u8>, Asked),
    /// It is empty, its boot number is unknown, or its counter was used before: the sealed challenge to answer it with.
    Unproven {
        /// The body of the answer.
        challenge: Vec<u8>,
        /// Whether the sender is known, and the message is a copy of an earlier one or very late.
        replayed: bool,
    },
}

impl MeshKey {
    /// A key of a node that has just started.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        Self {
            keys: RwLock::new(Arc::new(keys)),
            boot: rand::rng().random(),
            counter: AtomicU64::new(0),
            boots: Mutex::default(),
        }
    }

    /// Takes other keys. What was sealed before stays valid where its key still is.
    pub fn set_keys(&self, keys: Keys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// The keys in use.
    #[must_use]
    pub fn keys(&self) -> Arc<Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn boots(&self) -> MutexGuard<'_, Boots> {
        self.boots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nonce(&self) -> Nonce {
        Nonce {
            boot: self.boot,
            // From 1. It would take centuries to come round.
            counter: self.counter.fetch_add(1, Ordering::Relaxed) + 1,
            random: rand::rng().random(),
        }
    }

    /// Seals a datagram between these UDP addresses.
    #[must_use]
    pub fn seal_datagram(&self, from: SocketAddr, to: SocketAddr, content: &[u8]) -> Vec<u8> {
        let context = datagram(from, to);
        envelope::seal(&self.keys(), Kind::Datagram, self.nonce(), context, content)
    }

    /// Opens a datagram between these UDP addresses; `None` if no key fits.
    #[must_use]
    pub fn open_datagram(&self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> Option<OpenedDatagram> {
        let opened = envelope::open(&self.keys(), Kind::Datagram, datagram(from, to), bytes)?;
        let Opened { nonce, content } = opened;
        Some(OpenedDatagram { content, nonce })
    }

    /// Decides what a datagram is worth that comes from the node at this endpoint.
    pub fn admit(&self, endpoint: SocketAddr, datagram: &OpenedDatagram, now: Duration) -> Admission {
        let mut boots = self.boots();
        if boots.admit(endpoint, datagram.nonce) {
            Admission::Counts
        } else if boots.knows(endpoint, datagram.nonce) {
            Admission::Replayed
        } else if boots.hint(endpoint.ip(), now) {
            Admission::Hint
        } else {
            Admission::Asked
        }
    }

    /// Begins an exchange from the node at one endpoint with that at another.
    #[must_use]
    pub fn ask(self: &Arc<Self>, from: SocketAddr, to: SocketAddr, path: String) -> Asking {
        Asking {
            key: Arc::clone(self),
            from,
            to,
            path,
            question: None,
            challenge: None,
        }
    }

    /// Opens a request from an address to the node at this endpoint; `None` if no key fits.
    #[must_use]
    pub fn open_request(
        self: &Arc<Self>,
        from: IpAddr,
        to: SocketAddr,
        path: &str,
        bytes: &[u8],
    ) -> Option<Question> {
        let request = Request::read(bytes)?;
        let from = SocketAddr::new(from.to_canonical(), request.port);
        let context = Context {
            from,
            to,
            path,
            answers: request.challenge,
        };
        let Opened { nonce, content } = request.open(&self.keys(), context)?;
        let asked = Asked {
            key: Arc::clone(self),
            from: to,
            to: from,
            path: path.to_owned(),
            question: nonce,
        };
        let mut boots = self.boots();
        let is_fresh = match request.challenge {
            Some(challenge) => boots.prove(from, nonce, challenge),
            None => boots.admit(from, nonce),
        };
        if is_fresh && !content.is_empty() {
            return Some(Question::Fresh(content, asked));
        }
        let replayed = !is_fresh && boots.knows(from, nonce);
        let challenge = self.nonce();
        boots.challenge(challenge, from, nonce.boot);
        drop(boots);
        Some(Question::Unproven {
            challenge: asked.seal_as(Kind::Challenge, challenge, &[]),
            replayed,
        })
    }
}

fn datagram(from: SocketAddr, to: SocketAddr) -> Context<'static> {
    Context {
        from,
        to,
        path: "",
        answers: None,
    }
}

/// A request that counts and is to be answered.
#[derive(Debug)]
pub struct Asked {
    key: Arc<MeshKey>,
    from: SocketAddr,
    to: SocketAddr,
    path: String,
    question: Nonce,
}

impl Asked {
    /// The sealed answer.
    #[must_use]
    pub fn answer(&self, content: &[u8]) -> Vec<u8> {
        self.seal_as(Kind::Answer, self.key.nonce(), content)
    }

    /// The sealed answer that this node leaves.
    #[must_use]
    pub fn leaving(&self) -> Vec<u8> {
        self.seal_as(Kind::Leaving, self.key.nonce(), &[])
    }

    fn seal_as(&self, kind: Kind, nonce: Nonce, content: &[u8]) -> Vec<u8> {
        let context = Context {
            from: self.from,
            to: self.to,
            path: &self.path,
            answers: Some(self.question),
        };
        envelope::seal(&self.key.keys(), kind, nonce, context, content)
    }
}

/// An exchange of ours.
#[derive(Debug)]
pub struct Asking {
    key: Arc<MeshKey>,
    from: SocketAddr,
    to: SocketAddr,
    path: String,
    question: Option<Nonce>,
    challenge: Option<Nonce>,
}

impl Asking {
    /// The sealed request. Each call seals another one, and only the last is answered.
    ///
    /// A peer that does not know our boot number challenges any request, so one that has never answered is sent an empty one
    /// first: its proof has the content.
    #[must_use]
    pub fn request(&mut self, content: &[u8]) -> Vec<u8> {
        let nonce = self.key.nonce();
        self.question = Some(nonce);
        let is_introduction = self.challenge.is_none() && !self.key.boots().has_answered(self.to);
        let content = if is_introduction { &[] } else { content };
        let context = Context {
            answers: self.challenge,
            ..self.context()
        };
        envelope::seal_request(&self.key.keys(), nonce, context, content)
    }

    /// Opens the answer; the peer's boot number is known from now on.
    #[must_use]
    pub fn answer(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let Opened { nonce, content } = self.open(Kind::Answer, bytes)?;
        self.key.boots().answered(self.to, nonce);
        Some(content)
    }

    /// Whether this is the answer of a peer that leaves.
    #[must_use]
    pub fn leaving(&self, bytes: &[u8]) -> bool {
        self.open(Kind::Leaving, bytes).is_some()
    }

    /// Opens a challenge: the next request is its proof. False if it is none.
    #[must_use]
    pub fn challenge(&mut self, bytes: &[u8]) -> bool {
        let Some(Opened { nonce, .. }) = self.open(Kind::Challenge, bytes) else {
            return false;
        };
        self.key.boots().answered(self.to, nonce);
        self.challenge = Some(nonce);
        true
    }

    fn context(&self) -> Context<'_> {
        Context {
            from: self.from,
            to: self.to,
            path: &self.path,
            answers: None,
        }
    }

    fn open(&self, kind: Kind, bytes: &[u8]) -> Option<Opened> {
        let context = Context {
            from: self.to,
            to: self.from,
            // Without a question nothing is an answer.
            answers: Some(self.question?),
            ..self.context()
        };
        envelope::open(&self.key.keys(), kind, context, bytes)
    }
}
