//! The servers of the sidecar itself: the controllers and the status listener.

use std::future::Future;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::activation::ActivatedSockets;
use crate::control::http::TokenCheck;
use crate::control::{self, Controller, resp};
#[cfg(feature = "failpoints")]
use crate::failpoints;
use crate::handover::successor::Socket;
use crate::http::HostCheck;
use crate::mesh::Mesh;
use crate::own_listeners::{OwnListener, OwnListeners};
use crate::settings::Settings;
use crate::status::{MeshStatus, Phase, Status};
use crate::{http, interface};

/// The names of the sockets: the flags without dashes.
const HTTP_CONTROLLER: &str = "http-controller";
const RESP_CONTROLLER: &str = "resp-controller";
const STATUS: &str = "status";

/// The running servers.
pub(super) struct Servers {
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Once cancelled, they accept; `None` accepts at once.
    opened: Option<CancellationToken>,
    /// Duplicates of their sockets, to be handed over.
    sockets: Vec<(&'static str, OwnedFd)>,
}

impl Servers {
    /// Starts those that the settings have.
    pub(super) async fn start(
        settings: &Settings,
        sockets: &ActivatedSockets,
        controller: &Arc<Controller>,
        phase: &watch::Sender<Phase>,
        mesh: Option<&Mesh>,
        opened: Option<CancellationToken>,
        hosts: HostCheck,
    ) -> anyhow::Result<Self> {
        let mut this = Self {
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            opened,
            sockets: Vec::new(),
        };
        let own = controller.own_listeners();
        if let Some(door) = &settings.http_controller {
            let listener = this.bind(door.address, HTTP_CONTROLLER, sockets, &own).await?;
            let controller = Arc::clone(controller);
            let token = door
                .credential
                .clone()
                .map(|c| -> TokenCheck { Arc::new(move |t| c.matches(t.as_bytes())) });
            let door =
                move |_, request| control::http::handle(Arc::clone(&controller), token.clone(), request);
            let (limits, stop) = (http::Limits::default(), this.stop.clone());
            this.spawn(http::serve_within(limits, hosts.clone(), listener, door, stop));
        }
        if let Some(door) = &settings.resp_controller {
            let listener = this.bind(door.address, RESP_CONTROLLER, sockets, &own).await?;
            let (controller, password) = (Arc::clone(controller), door.credential.clone());
            let limits = resp::Limits::default();
            this.spawn(resp::serve(
                listener,
                controller,
                password,
                limits,
                this.stop.clone(),
            ));
        }
        if let Some(address) = settings.status {
            let listener = this.bind(address, STATUS, sockets, &own).await?;
            let mesh = mesh.map(|m| {
                let view = m.view();
                #[cfg(feature = "failpoints")]
                let view = failpoints::view(view);
                MeshStatus {
                    view,
                    counters: m.counters(),
                    reachability: m.reachability(),
                }
            });
            let status = Status::new(phase.subscribe(), Arc::clone(controller), mesh);
            let status = Arc::new(status.for_clients(settings.status_clients.clone()));
            let page = move |from, request| {
                let status = Arc::clone(&status);
                async move { status.answer(from, &request) }
            };
            let (limits, stop) = (http::Limits::default(), this.stop.clone());
            this.spawn(http::serve_within(limits, hosts, listener, page, stop));
        }
        Ok(this)
    }

    /// Duplicates of their sockets.
    pub(super) fn duplicates(&self) -> std::io::Result<Vec<Socket>> {
        let duplicate = |(name, socket): &(&'static str, OwnedFd)| {
            Ok(Socket {
                name,
                descriptor: socket.try_clone()?,
            })
        };
        self.sockets.iter().map(duplicate).collect()
    }

    /// Makes them stop accepting at once, and finish the requests in flight.
    pub(super) fn stop(&mut self) {
        self.sockets.clear();
        self.stop.cancel();
        self.tasks.close();
    }

    /// Waits until they have ended, which takes a second at most.
    pub(super) async fn ended(&self) {
        self.tasks.wait().await;
    }

    fn spawn(&self, server: impl Future<Output = ()> + Send + 'static) {
        let opened = self.opened.clone();
        self.tasks.spawn(async move {
            if let Some(opened) = opened {
                opened.cancelled().await;
            }
            server.await;
        });
    }

    async fn bind(
        &mut self,
        address: SocketAddr,
        name: &'static str,
        sockets: &ActivatedSockets,
        own: &OwnListeners,
    ) -> anyhow::Result<TcpListener> {
        let listener = match sockets.take_named(name, address) {
            Some(socket) => socket
                .set_nonblocking(true)
                .and_then(|()| TcpListener::from_std(socket)),
            None => {
                interface::wait_until_unique(address.ip()).await;
                TcpListener::bind(address).await
            }
        };
        let listener = listener.with_context(|| format!("--{name}: cannot listen on {address}"))?;
        self.sockets.push((name, listener.as_fd().try_clone_to_owned()?));
        let address = listener.local_addr()?;
        own.add(OwnListener {
            name: format!("--{name}"),
            address,
            is_proxy: false,
        });
        tracing::info!(%address, "--{name}");
        Ok(listener)
    }
}
