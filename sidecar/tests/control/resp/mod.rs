//! The RESP controller: its codec, its connections, and redis-cli as a client.

mod answers;
mod bounds;
mod client;
mod codec;
mod connection;
mod frontend;
mod handshakes;
mod lockout;
mod process;
mod redis_cli;
