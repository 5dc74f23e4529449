//! `tcp-lb` and `socks5-server`.

use std::net::SocketAddr;

use super::Found;
use super::groups::ServerGroupsDetail;
use super::security::{SecurityGroupDetail, guard};
use crate::control::command::ListenerName;
use crate::control::controller::Controller;
use crate::control::error::CommandError;
use crate::control::grammar::Resource;
use crate::control::http::original::{self, EventLoopGroup};
use crate::control::http::shape::shapes;
use crate::control::values::ALLOW_ALL;
use crate::control::view::ListenerView;

shapes! {
    /// A listener that balances TCP connections.
    struct TcpLb {
        /// Its name.
        name: String,
        /// Where it listens.
        address: SocketAddr,
        /// The server-groups that it takes connections to.
        backend: String,
        /// Always tcp.
        protocol: &'static str,
        /// For the original's clients; always the same.
        acceptor_loop_group: &'static str,
        /// For the original's clients; always the same.
        worker_loop_group: &'static str,
        /// For the original's clients; always the same.
        in_buffer_size: u32,
        /// For the original's clients; always the same.
        out_buffer_size: u32,
        /// For the original's clients; always null.
        list_of_cert_key: (),
        /// The security-group that says which clients it serves.
        security_group: String,
    }

    /// A listener that balances TCP connections, in detail.
    struct TcpLbDetail {
        /// Its name.
        name: String,
        /// Where it listens.
        address: SocketAddr,
        /// Always tcp.
        protocol: &'static str,
        /// The server-groups that it takes connections to.
        backend: ServerGroupsDetail,
        /// For the original's clients; always the same.
        acceptor_loop_group: EventLoopGroup,
        /// For the original's clients; always the same.
        worker_loop_group: EventLoopGroup,
        /// For the original's clients; always the same.
        in_buffer_size: u32,
        /// For the original's clients; always the same.
        out_buffer_size: u32,
        /// For the original's clients; always null.
        list_of_cert_key: (),
        /// The security-group that says which clients it serves.
        security_group: SecurityGroupDetail,
    }

    /// A listener that speaks SOCKS5.
    struct Socks5Server {
        /// Its name.
        name: String,
        /// Where it listens.
        address: SocketAddr,
        /// The server-groups that it takes connections to.
        backend: String,
        /// For the original's clients; always the same.
        acceptor_loop_group: &'static str,
        /// For the original's clients; always the same.
        worker_loop_group: &'static str,
        /// For the original's clients; always the same.
        in_buffer_size: u32,
        /// For the original's clients; always the same.
        out_buffer_size: u32,
        /// The security-group that says which clients it serves.
        security_group: String,
        /// Whether clients get to destinations that are no backend's.
        allow_non_backend: bool,
    }

    /// A listener that speaks SOCKS5, in detail.
    struct Socks5ServerDetail {
        /// Its name.
        name: String,
        /// Where it listens.
        address: SocketAddr,
        /// The server-groups that it takes connections to.
        backend: ServerGroupsDetail,
        /// For the original's clients; always the same.
        acceptor_loop_group: EventLoopGroup,
        /// For the original's clients; always the same.
        worker_loop_group: EventLoopGroup,
        /// For the original's clients; always the same.
        in_buffer_size: u32,
        /// For the original's clients; always the same.
        out_buffer_size: u32,
        /// The security-group that says which clients it serves.
        security_group: SecurityGroupDetail,
        /// Whether clients get to destinations that are no backend's.
        allow_non_backend: bool,
    }
}

fn views(controller: &Controller, kind: Resource) -> impl Iterator<Item = ListenerView> {
    let all = controller.listeners().into_iter();
    all.filter(move |listener| listener.name.resource() == kind)
}

fn name(listener: &ListenerName) -> String {
    listener.name().to_owned()
}

fn guarded(view: &ListenerView) -> String {
    view.security_group
        .clone()
        .unwrap_or_else(|| ALLOW_ALL.to_owned())
}

fn backend(controller: &Controller, view: &ListenerView) -> Found<ServerGroupsDetail> {
    let mut sets = controller.server_groups().into_iter();
    let backend = sets.find(|set| set.name == view.backend);
    backend
        .map(ServerGroupsDetail::from)
        .ok_or_else(|| CommandError::not_found(view.name.resource(), view.name.name()))
}

pub(in crate::control::http) fn tcp_lbs(controller: &Controller, _: &str) -> Found<Vec<TcpLb>> {
    let short = |view: ListenerView| TcpLb {
        name: name(&view.name),
        address: view.address,
        protocol: "tcp",
        acceptor_loop_group: original::ACCEPTOR,
        worker_loop_group: original::WORKER,
        in_buffer_size: original::BUFFER_SIZE,
        out_buffer_size: original::BUFFER_SIZE,
        list_of_cert_key: (),
        security_group: guarded(&view),
        backend: view.backend,
    };
    Ok(views(controller, Resource::TcpLb).map(short).collect())
}

pub(in crate::control::http) fn tcp_lbs_in_detail(
    controller: &Controller,
    _: &str,
) -> Found<Vec<TcpLbDetail>> {
    let detail = |view: ListenerView| {
        Ok(TcpLbDetail {
            name: name(&view.name),
            address: view.address,
            protocol: "tcp",
            backend: backend(controller, &view)?,
            acceptor_loop_group: original::acceptor(),
            worker_loop_group: original::worker(),
            in_buffer_size: original::BUFFER_SIZE,
            out_buffer_size: original::BUFFER_SIZE,
            list_of_cert_key: (),
            security_group: guard(controller, view.security_group.as_deref()),
        })
    };
    views(controller, Resource::TcpLb).map(detail).collect()
}

pub(in crate::control::http) fn socks5_servers(controller: &Controller, _: &str) -> Found<Vec<Socks5Server>> {
    let short = |view: ListenerView| Socks5Server {
        name: name(&view.name),
        address: view.address,
        acceptor_loop_group: original::ACCEPTOR,
        worker_loop_group: original::WORKER,
        in_buffer_size: original::BUFFER_SIZE,
        out_buffer_size: original::BUFFER_SIZE,
        security_group: guarded(&view),
        allow_non_backend: view.allow_non_backend,
        backend: view.backend,
    };
    Ok(views(controller, Resource::Socks5Server).map(short).collect())
}

pub(in crate::control::http) fn socks5_servers_in_detail(
    controller: &Controller,
    _: &str,
) -> Found<Vec<Socks5ServerDetail>> {
    let detail = |view: ListenerView| {
        Ok(Socks5ServerDetail {
            name: name(&view.name),
            address: view.address,
            backend: backend(controller, &view)?,
            acceptor_loop_group: original::acceptor(),
            worker_loop_group: original::worker(),
            in_buffer_size: original::BUFFER_SIZE,
            out_buffer_size: original::BUFFER_SIZE,
            security_group: guard(controller, view.security_group.as_deref()),
            allow_non_backend: view.allow_non_backend,
        })
    };
    views(controller, Resource::Socks5Server).map(detail).collect()
}
