//! Bounds of the kernel's buffers for a relayed connection.
//!
//! Left alone, the kernel grows both buffers of a socket as long as bytes flow, to several MiB each (`tcp_rmem`,
//! `tcp_wmem`), and keeps them full once the receiver stops reading: a client that reads for a while and then no more would
//! cost memory that no limit of the sidecar counts.

use std::os::fd::AsFd;

use socket2::SockRef;

/// Receive buffer of each socket, in bytes, as given to `SO_RCVBUF`; the kernel takes at most `net.core.rmem_max`, and
/// doubles it for its own overhead (socket(7)). One connection moves at most this much in a round trip. Higher is faster
/// over long distances, and costs more for receivers that do not read.
pub const RECEIVE_BUFFER: usize = 256 * 1024;

/// Bytes that a socket takes before they are on their way (`TCP_NOTSENT_LOWAT`, tcp(7)). It does not limit those on their
/// way, and so not the speed. Lower costs more system calls for a long flow.
pub const UNSENT: u32 = 128 * 1024;

/// Bounds the buffers of a socket, and of those that are accepted from it if it listens. For a connection to be made, before it
/// is: the window is part of the handshake.
pub(super) fn bound(socket: &impl AsFd) {
    let socket = SockRef::from(socket);
    // A kernel that refuses them has its own bounds.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    let _ = socket.set_tcp_notsent_lowat(UNSENT);
}
