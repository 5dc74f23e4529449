//! The SOCKS5 server (RFC 1928): CONNECT without authentication, to names and addresses of backends.

mod direct;
mod handshake;
mod server;
pub mod wire;

pub use server::Socks5Server;
