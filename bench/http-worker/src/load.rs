//! Clients that keep their connections.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bench::http::{Behaviour, HttpLoad, HttpVersion};
use bench::load::LoadReport;
use bench::statistics::percentile;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::threads::{self, LocalExecutor};

/// Consecutive failures after which a connection's client gives up and the target counts as broken.
const MAX_FAILURES: u64 = 100;
/// Timeout for a response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Number of threads; a connection stays on one.
const THREADS: usize = 2;

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Runs the load and passes its report to `print`. Held connections stay open until standard input ends.
pub(crate) fn run(load: &HttpLoad, print: impl FnOnce(&LoadReport) -> io::Result<()>) -> io::Result<()> {
    let began = Instant::now();
    let threads = (0..THREADS).map(|index| {
        let connections = (load.connections + index) / THREADS;
        let load = HttpLoad {
            connections,
            ..load.clone()
        };
        let (send, receive) = std::sync::mpsc::channel();
        threads::start(move || async move {
            let (counted, held) = Clients::new(load).run().await;
            let _ = send.send(counted);
            if !held.is_empty() {
                // Drives the connections. The process ends with its standard input.
                std::future::pending::<()>().await;
            }
        })
        .map(|_| receive)
    });
    let threads = threads.collect::<io::Result<Vec<_>>>()?;
    let mut all = Counted::default();
    for thread in threads {
        all.add(thread.recv().map_err(io::Error::other)?);
    }
    print(&all.report(began.elapsed()))?;
    if load.behaviour == Behaviour::Hold {
        crate::wait_for_input_end();
    }
    Ok(())
}

/// What clients have counted.
#[derive(Debug, Default)]
struct Counted {
    times: Vec<Duration>,
    bytes: u64,
    failed: u64,
    failure: Option<String>,
    exhausted: bool,
}

impl Counted {
    fn add(&mut self, mut other: Self) {
        self.times.append(&mut other.times);
        self.bytes += other.bytes;
        self.failed += other.failed;
        self.exhausted |= other.exhausted;
        self.failure = self.failure.take().or(other.failure);
    }

    fn fail(&mut self, fault: &Fault) {
        self.failed += 1;
        self.exhausted |= fault.downcast_ref().is_some_and(bench::load::exhausted);
        self.failure.get_or_insert_with(|| fault.to_string());
    }

    fn report(mut self, elapsed: Duration) -> LoadReport {
        self.times.sort_unstable();
        let at = |percent| percentile(&self.times, percent).unwrap_or_default();
        LoadReport {
            done: self.times.len() as u64,
            failed: self.failed,
            failure: self.failure,
            exhausted: self.exhausted,
            elapsed,
            bytes: self.bytes,
            p50: at(50.0),
            p99: at(99.0),
            max: at(100.0),
            ..LoadReport::default()
        }
    }
}

/// The clients of one thread.
struct Clients {
    load: HttpLoad,
    began: Instant,
    counted: RefCell<Counted>,
}

impl Clients {
    fn new(load: HttpLoad) -> Rc<Self> {
        Rc::new(Self {
            load,
            began: Instant::now(),
            counted: RefCell::default(),
        })
    }

    /// Runs them to their end. Returns the connections that are held.
    async fn run(self: Rc<Self>) -> (Counted, Vec<Sender>) {
        let mut held = Vec::new();
        match self.load.behaviour {
            Behaviour::Hold => {
                for _ in 0..self.load.connections {
                    match self.connect_and_send().await {
                        Ok(sender) => held.push(sender),
                        Err(fault) => self.counted.borrow_mut().fail(&fault),
                    }
                    if self.counted.borrow().failed > MAX_FAILURES {
                        break;
                    }
                }
            }
            Behaviour::Request(_) => {
                let clients = (0..self.load.connections).map(|_| {
                    let this = Rc::clone(&self);
                    tokio::task::spawn_local(async move { this.client().await })
                });
                for client in clients.collect::<Vec<_>>() {
                    let _ = client.await;
                }
            }
        }
        (self.counted.take(), held)
    }

    fn is_over(&self) -> bool {
        match self.load.behaviour {
            Behaviour::Request(duration) => self.began.elapsed() >= duration,
            Behaviour::Hold => false,
        }
    }

    async fn connect_and_send(&self) -> Result<Sender, Fault> {
        let mut sender = Sender::connect(&self.load).await?;
        self.exchange(&mut sender).await?;
        Ok(sender)
    }

    /// One connection; a new one after a failure.
    async fn client(self: Rc<Self>) {
        let mut failures = 0;
        while !self.is_over() && failures < MAX_FAILURES {
            let before = self.counted.borrow().times.len();
            if let Err(fault) = Rc::clone(&self).connection().await {
                self.counted.borrow_mut().fail(&fault);
                failures += 1;
            }
            if self.counted.borrow().times.len() > before {
                failures = 0;
            }
        }
    }

    /// All streams of one connection, to the end of the load or the first failure of each.
    async fn connection(self: Rc<Self>) -> Result<(), Fault> {
        let mut sender = Sender::connect(&self.load).await?;
        let others = (1..self.load.streams)
            .filter_map(|_| sender.another())
            .map(|mut sender| {
                let this = Rc::clone(&self);
                tokio::task::spawn_local(async move { this.stream(&mut sender).await })
            });
        let others: Vec<_> = others.collect();
        let mut outcome = self.stream(&mut sender).await;
        for stream in others {
            outcome = outcome.and(stream.await?);
        }
        outcome
    }

    async fn stream(&self, sender: &mut Sender) -> Result<(), Fault> {
        while !self.is_over() {
            self.exchange(sender).await?;
        }
        Ok(())
    }

    /// One request and its response.
    async fn exchange(&self, sender: &mut Sender) -> Result<(), Fault> {
        let uri = match self.load.version {
            HttpVersion::Http1 => format!("/{}", self.load.response_bytes),
            HttpVersion::Http2 => format!("http://{}/{}", self.load.address, self.load.response_bytes),
        };
        let mut request = Request::get(uri);
        if self.load.version == HttpVersion::Http1 {
            request = request.header("host", self.load.address.to_string());
        }
        let request = request.body(Empty::new())?;
        let began = Instant::now();
        let receiving = async {
            let mut response = sender.send(request).await?;
            if response.status() != StatusCode::OK {
                return Err(format!("status {}", response.status()).into());
            }
            let mut bytes = 0;
            while let Some(frame) = response.body_mut().frame().await {
                bytes += frame?.data_ref().map_or(0, Bytes::len);
            }
            Ok::<_, Fault>(bytes)
        };
        let bytes = tokio::time::timeout(RESPONSE_TIMEOUT, receiving).await??;
        if bytes != self.load.response_bytes {
            return Err(format!("{bytes} bytes for {}", self.load.response_bytes).into());
        }
        let mut counted = self.counted.borrow_mut();
        counted.times.push(began.elapsed());
        counted.bytes += bytes as u64;
        Ok(())
    }
}

/// A client's connection.
enum Sender {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

impl Sender {
    async fn connect(load: &HttpLoad) -> Result<Self, Fault> {
        let stream = TcpStream::connect(load.address).await?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        Ok(match load.version {
            HttpVersion::Http1 => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::task::spawn_local(connection);
                Self::Http1(sender)
            }
            HttpVersion::Http2 => {
                let (sender, connection) = http2::handshake(LocalExecutor, io).await?;
                tokio::task::spawn_local(connection);
                Self::Http2(sender)
            }
        })
    }

    /// A sender of further streams on the same connection.
    fn another(&self) -> Option<Self> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(sender) => Some(Self::Http2(sender.clone())),
        }
    }

    async fn send(&mut self, request: Request<Empty<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}
