//! The RESP controller: its codec, its connections, and clients of redis.

mod answers;
mod bounds;
mod client;
mod codec;
mod connection;
mod credentials;
mod frontend;
mod handshakes;
mod lockout;
mod process;
mod redis_cli;
