//! Tells whether this machine's own firewall has rejected a connection: the ICMP error, which then comes from the
//! connection's own address, is in the socket's error queue (ip(7), IP_RECVERR; of TCP sockets since Linux 5.8). To connect(2)
//! it looks like a refusal by the destination.

use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use socket2::Socket;
use tokio::net::TcpStream;

/// ICMP "host unreachable" (RFC 792) and ICMPv6 "address unreachable" (RFC 4443, 3.1): our kernel reports so, in our name, a
/// neighbour that does not answer.
const HOST_UNREACHABLE: u8 = 1;
const ADDRESS_UNREACHABLE: u8 = 3;

/// Bytes for the control messages: an error with its address, and room for more.
const CONTROL: usize = 256;

/// Keeps the ICMP errors of a connection that is being opened. On failure they only remain unknown.
pub(crate) fn keep_errors(socket: &Socket, v4: bool) {
    let _ = if v4 {
        setsockopt(socket, sockopt::Ipv4RecvErr, &true)
    } else {
        setsockopt(socket, sockopt::Ipv6RecvErr, &true)
    };
}

/// Undoes [`keep_errors`] on an established connection, which would end with each transient error.
pub(crate) fn ignore_errors(stream: &TcpStream, v4: bool) {
    let _ = if v4 {
        setsockopt(stream, sockopt::Ipv4RecvErr, &false)
    } else {
        setsockopt(stream, sockopt::Ipv6RecvErr, &false)
    };
}

/// Whether an error of the connection has come from its own address.
pub(crate) fn is_own_rejection(stream: &TcpStream) -> bool {
    let Ok(own) = stream.local_addr() else {
        return false;
    };
    // The packet that was rejected, which is of no interest.
    let mut packet = [0; 64];
    let mut parts = [IoSliceMut::new(&mut packet)];
    let mut control = vec![0; CONTROL];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let fd = stream.as_raw_fd();
    let Ok(message) = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), flags) else {
        return false;
    };
    let mut messages = message.cmsgs().into_iter().flatten();
    messages.any(|message| match message {
        ControlMessageOwned::Ipv4RecvErr(error, Some(from)) => {
            let from = Ipv4Addr::from(from.sin_addr.s_addr.to_ne_bytes());
            error.ee_code != HOST_UNREACHABLE && own.ip() == IpAddr::V4(from)
        }
        ControlMessageOwned::Ipv6RecvErr(error, Some(from)) => {
            let from = Ipv6Addr::from(from.sin6_addr.s6_addr);
            error.ee_code != ADDRESS_UNREACHABLE && own.ip() == IpAddr::V6(from)
        }
        _ => false,
    })
}
