//! A fake of the part of a sidecar's HTTP controller that a service uses. It records its requests.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::http::{read_request, reserved_port, until};

const RESOURCE: &str = "/api/v1/module/smart-node-delegate";

pub(crate) struct FakeSidecar {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    /// Reserves the allocated port until the service listens on it.
    _reserved: TcpSocket,
}

#[derive(Default)]
struct State {
    port: u16,
    registrations: BTreeMap<String, Value>,
    requests: Vec<String>,
    refused_posts: Option<&'static str>,
    refused_deletes: Option<&'static str>,
    forget_after_get: bool,
    unanswered_posts: usize,
    unsaved: bool,
    frozen: bool,
}

impl FakeSidecar {
    pub(crate) async fn start() -> FakeSidecar {
        FakeSidecar::start_on(TcpListener::bind("127.0.0.1:0").await.expect("a port"))
    }

    pub(crate) fn start_on(listener: TcpListener) -> FakeSidecar {
        let (reserved, allocated) = reserved_port();
        let state = Arc::new(Mutex::new(State {
            port: allocated.port(),
            ..State::default()
        }));
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        FakeSidecar {
            url,
            state,
            _reserved: reserved,
        }
    }

    /// Refuses registrations from now on.
    pub(crate) fn refuse_posts(&self, message: &'static str) {
        self.state.lock().expect("the state").refused_posts = Some(message);
    }

    /// Refuses deregistrations from now on.
    pub(crate) fn refuse_deletes(&self, message: &'static str) {
        self.state.lock().expect("the state").refused_deletes = Some(message);
    }

    /// Forgets all registrations.
    pub(crate) fn forget(&self) {
        self.state.lock().expect("the state").registrations.clear();
    }

    /// Forgets the next registration that is looked up.
    pub(crate) fn forget_after_get(&self) {
        self.state.lock().expect("the state").forget_after_get = true;
    }

    /// Applies the next `count` registrations and closes the connections without an answer.
    pub(crate) fn leave_unanswered(&self, count: usize) {
        self.state.lock().expect("the state").unanswered_posts = count;
    }

    /// Applies registrations from now on, but responds that they could not be saved.
    pub(crate) fn save_nothing(&self) {
        self.state.lock().expect("the state").unsaved = true;
    }

    /// Withdraws all instances from the mesh.
    pub(crate) fn withdraw(&self) {
        let mut state = self.state.lock().expect("the state");
        for held in state.registrations.values_mut() {
            held["status"] = "DOWN".into();
        }
    }

    /// Responds to no request from now on.
    pub(crate) fn freeze(&self) {
        self.state.lock().expect("the state").frozen = true;
    }

    /// Adds a registration, as if it existed before the service's start.
    pub(crate) fn hold(&self, name: &str, weight: u32) {
        let mut state = self.state.lock().expect("the state");
        let held = json!({"name": name, "exposedPort": state.port, "weight": weight, "status": "DOWN"});
        state.registrations.insert(name.to_owned(), held);
    }

    /// The address that the service must listen on.
    pub(crate) fn allocated(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.state.lock().expect("the state").port))
    }

    /// The requests so far: method, path, and body, if any.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().expect("the state").requests.clone()
    }

    pub(crate) async fn asked(&self, method: &str) {
        until(&format!("the sidecar is asked to {method}"), async || {
            self.requests().iter().any(|request| request.starts_with(method))
        })
        .await;
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let Some((head, body)) = read_request(&mut stream).await else {
        return;
    };
    let answer = state.lock().expect("the state").answer(&head, &body);
    match answer {
        Some((status, body)) => {
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        // The connection stays open, as it does if the process is stopped with SIGSTOP.
        None if state.lock().expect("the state").frozen => std::future::pending().await,
        None => {}
    }
}

/// An error in the sidecar's format.
fn error(code: u16, message: &str) -> (&'static str, String) {
    let status = match code {
        404 => "404 Not Found",
        500 => "500 Internal Server Error",
        _ => "400 Bad Request",
    };
    (status, json!({"code": code, "message": message}).to_string())
}

impl State {
    fn answer(&mut self, head: &str, body: &str) -> Option<(&'static str, String)> {
        let mut words = head.split(' ');
        let (method, path) = (words.next().expect("a method"), words.next().expect("a path"));
        self.requests
            .push(format!("{method} {path} {body}").trim_end().to_owned());
        if self.frozen {
            return None;
        }
        let name = path
            .strip_prefix(RESOURCE)
            .unwrap_or_else(|| panic!("asked for {path}"))
            .trim_start_matches('/');
        match method {
            "GET" => {
                let held = self.registrations.get(name).map(Value::to_string);
                if std::mem::take(&mut self.forget_after_get) {
                    self.registrations.remove(name);
                }
                Some(match held {
                    Some(held) => ("200 OK", held),
                    None => error(404, "not there"),
                })
            }
            "DELETE" => Some(match (self.refused_deletes, self.registrations.remove(name)) {
                (None, Some(_)) => ("204 No Content", String::new()),
                (None, None) => error(400, "the resource could not be found"),
                (Some(message), held) => {
                    self.registrations
                        .extend(held.map(|held| (name.to_owned(), held)));
                    error(400, message)
                }
            }),
            "POST" => {
                if let Some(message) = self.refused_posts {
                    return Some(error(400, message));
                }
                let mut held: Value = serde_json::from_str(body).expect("a registration in JSON");
                let name = held["name"].as_str().expect("a name").to_owned();
                if held["exposedPort"].is_null() {
                    held["exposedPort"] = self.port.into();
                }
                if held["weight"].is_null() {
                    held["weight"] = 10.into();
                }
                held["status"] = "UP".into();
                self.registrations.insert(name, held);
                if self.unanswered_posts > 0 {
                    self.unanswered_posts -= 1;
                    return None;
                }
                if self.unsaved {
                    return Some(error(500, "the change is made, but is lost at the next start"));
                }
                Some(("204 No Content", String::new()))
            }
            other => panic!("asked with {other}"),
        }
    }
}
