//! A service and a load on it: 200 requests a second, of which one in twenty takes 1.5 s.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::{DEADLINE, eventually};

const CLIENTS: u32 = 40;
/// Pause of each client after a request.
const PAUSE: Duration = Duration::from_millis(200);
/// One request in this number is slow.
const SLOW: u32 = 20;
const SLOW_ANSWER: Duration = Duration::from_millis(1500);

/// A service that answers a byte: `s` after 1.5 s, others at once.
pub(super) struct Service {
    pub(super) address: SocketAddr,
}

impl Service {
    pub(super) fn start(at: &str) -> Self {
        let listener = TcpListener::bind(at).expect("a free port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                thread::spawn(move || answer(client));
            }
        });
        Self { address }
    }
}

fn answer(mut client: TcpStream) {
    let mut byte = [0];
    if client.read_exact(&mut byte).is_err() {
        return;
    }
    if byte == *b"s" {
        pause(SLOW_ANSWER);
    }
    let _ = client.write_all(&byte);
}

fn pause(time: Duration) {
    let end = Instant::now() + time;
    while let Some(rest) = end.checked_duration_since(Instant::now()) {
        thread::park_timeout(rest);
    }
}

/// One request on a connection of its own.
pub(super) fn request(to: SocketAddr, kind: u8) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&to, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(&[kind])?;
    let mut byte = [0];
    stream.read_exact(&mut byte)
}

/// Clients that go on until the end.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU32>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    pub(super) fn start(to: SocketAddr) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let client = |index: u32| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            thread::spawn(move || {
                let mut failures = Vec::new();
                let mut turn = index;
                while !stop.load(Ordering::Relaxed) {
                    turn += 1;
                    let kind = if turn.is_multiple_of(SLOW) { b's' } else { b'f' };
                    match request(to, kind) {
                        Ok(()) => drop(answered.fetch_add(1, Ordering::Relaxed)),
                        Err(error) => failures.push(format!("{}: {error}", char::from(kind))),
                    }
                    pause(PAUSE);
                }
                failures
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self {
            stop,
            answered,
            clients,
        }
    }

    /// Waits until each client has had one more answer on average.
    pub(super) fn goes_on(&self) {
        let before = self.answered.load(Ordering::Relaxed);
        eventually("further requests are answered", || {
            self.answered.load(Ordering::Relaxed) > before + CLIENTS
        });
    }

    /// The number of answers, and the failures.
    pub(super) fn end(self) -> (u32, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let failures = self
            .clients
            .into_iter()
            .flat_map(|client| client.join().expect("no panic"));
        let failures = failures.collect();
        (self.answered.load(Ordering::Relaxed), failures)
    }
}
