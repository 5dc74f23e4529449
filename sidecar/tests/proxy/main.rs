//! The data plane over real sockets.

mod failover;
mod health;
mod listener;
mod relay;
mod relay_endings;
mod socks5;
mod socks5_refusals;
mod socks5_wire;
mod support;
mod tcp_lb;
