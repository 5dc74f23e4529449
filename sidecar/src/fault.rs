//! Whose fault an error is: ours, the path's to one destination, or the peer's. Health checks, attempts to connect, accept
//! loops, registrations and discovery all decide by it.
//!
//! | error | fault | why |
//! |---|---|---|
//! | EMFILE, ENFILE | ours | no descriptor is left |
//! | ENOBUFS, ENOMEM, EAGAIN, ENOSPC, EUSERS | ours | no memory, buffer, thread or watch is left |
//! | EADDRNOTAVAIL, EADDRINUSE | ours | no local port is left (for this destination), or the local address is gone |
//! | EPERM, EACCES | ours | a rule of this machine: firewall, security module, prohibited route |
//! | EACCES of a connection under way | the path's | ICMPv6 "prohibited" of somebody else's firewall |
//! | ENETDOWN, EAFNOSUPPORT, EPROTONOSUPPORT | ours | this machine is not in such a network |
//! | ENETUNREACH | ours or the path's | ours if the interface is down, so that all destinations are unreachable |
//! | EHOSTUNREACH, EHOSTDOWN, ENONET | the path's | a router, or the destination's network, reports it |
//! | ETIMEDOUT | the path's | no answer |
//! | ECONNREFUSED, ECONNRESET, ECONNABORTED, EPIPE, ENOTCONN, EPROTO, ENOPROTOOPT | the peer's | its machine answered |
//! | any other | ours | it is not known to say anything about the destination |
//!
//! What a rule of this machine rejects by ICMP is told apart by [`crate::own_rejection`]. What it drops silently, or resets
//! in the destination's name, cannot be told from what others do.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::IpAddr;

use rustix::io::Errno;

use crate::interface;

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The peer's: its machine refused the connection or ended it.
    Peer,
    /// The path's: no answer in time.
    TimedOut,
    /// The path's: the destination is reported as unreachable.
    Unreachable,
    /// Ours, which says nothing about the destination.
    Own(Shortage),
}

/// What this process or its machine lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shortage {
    /// Descriptors, of the process or the system.
    Descriptors,
    /// Memory, kernel buffers, threads or watches.
    Memory,
    /// Local ports to this destination, or the local address.
    Ports,
    /// Permission: a rule of this machine forbids it.
    Permission,
    /// The network: its interface is down.
    Network,
    /// Something else.
    Other,
}

impl Fault {
    /// The values of the `reason` label in metrics, see [`Fault::index`].
    pub const LABELS: [&'static str; 4] = ["refused", "timed_out", "unreachable", "out_of_room"];

    /// The index into [`Fault::LABELS`].
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Peer => 0,
            Self::TimedOut => 1,
            Self::Unreachable => 2,
            Self::Own(_) => 3,
        }
    }

    /// The fault of an error that a system call returned at once.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        Self::of_source(error, None)
    }

    /// As [`Fault::of`], for a socket that is bound to this address.
    #[must_use]
    pub fn of_source(error: &io::Error, source: Option<IpAddr>) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::NETUNREACH) if !interface::is_up(source) => Self::Own(Shortage::Network),
            Some(errno) => Self::of_errno(errno),
            None => Self::of_kind(error.kind()),
        }
    }

    /// The fault of an error that ended a connection under way: ICMPv6 reports the rules of other machines as EACCES.
    #[must_use]
    pub fn of_connection(error: &io::Error, source: Option<IpAddr>) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::ACCESS) => Self::Unreachable,
            _ => Self::of_source(error, source),
        }
    }

    fn of_errno(errno: Errno) -> Self {
        match errno {
            Errno::MFILE | Errno::NFILE => Self::Own(Shortage::Descriptors),
            Errno::NOBUFS | Errno::NOMEM | Errno::AGAIN | Errno::NOSPC | Errno::USERS => {
                Self::Own(Shortage::Memory)
            }
            Errno::ADDRNOTAVAIL | Errno::ADDRINUSE => Self::Own(Shortage::Ports),
            Errno::PERM | Errno::ACCESS => Self::Own(Shortage::Permission),
            Errno::NETDOWN | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT => Self::Own(Shortage::Network),
            Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::HOSTDOWN | Errno::NONET => Self::Unreachable,
            Errno::TIMEDOUT => Self::TimedOut,
            Errno::CONNREFUSED
            | Errno::CONNRESET
            | Errno::CONNABORTED
            | Errno::PIPE
            | Errno::NOTCONN
            | Errno::PROTO
            | Errno::NOPROTOOPT => Self::Peer,
            _ => Self::Own(Shortage::Other),
        }
    }

    /// For errors that do not come from a system call.
    fn of_kind(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Self::Unreachable,
            ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected
            | ErrorKind::UnexpectedEof => Self::Peer,
            ErrorKind::OutOfMemory => Self::Own(Shortage::Memory),
            _ => Self::Own(Shortage::Other),
        }
    }

    /// Whether it is ours.
    #[must_use]
    pub fn is_own(self) -> bool {
        matches!(self, Self::Own(_))
    }
}

impl Shortage {
    /// Whether it meets every destination: then trying another one is of no use. Ports are counted by destination, and a
    /// rule or a network may concern only some.
    #[must_use]
    pub fn is_general(self) -> bool {
        matches!(self, Self::Descriptors | Self::Memory)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer => f.write_str("refused"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Own(shortage) => write!(f, "not tried: {shortage}"),
        }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Descriptors => "this sidecar is out of file descriptors",
            Self::Memory => "this machine is out of memory, buffers or threads",
            Self::Ports => "no local port is free for this destination, or the local address is gone",
            Self::Permission => "a rule of this machine forbids it",
            Self::Network => "this machine's network interface is down",
            Self::Other => "an error of this machine",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(errno: Errno) -> Fault {
        Fault::of(&errno.into())
    }

    #[test]
    fn a_shortage_of_this_machine_is_its_own_fault() {
        for (errno, shortage) in [
            (Errno::MFILE, Shortage::Descriptors),
            (Errno::NFILE, Shortage::Descriptors),
            (Errno::NOBUFS, Shortage::Memory),
            (Errno::NOMEM, Shortage::Memory),
            (Errno::AGAIN, Shortage::Memory),
            (Errno::NOSPC, Shortage::Memory),
            (Errno::ADDRNOTAVAIL, Shortage::Ports),
            (Errno::ADDRINUSE, Shortage::Ports),
            (Errno::PERM, Shortage::Permission),
            (Errno::ACCESS, Shortage::Permission),
            (Errno::NETDOWN, Shortage::Network),
            (Errno::AFNOSUPPORT, Shortage::Network),
            (Errno::INVAL, Shortage::Other),
        ] {
            assert_eq!(of(errno), Fault::Own(shortage), "{errno:?}");
        }
    }

    #[test]
    fn what_the_network_reports_is_the_paths_fault() {
        assert_eq!(of(Errno::HOSTUNREACH), Fault::Unreachable);
        assert_eq!(of(Errno::HOSTDOWN), Fault::Unreachable);
        assert_eq!(of(Errno::TIMEDOUT), Fault::TimedOut);
        let denied = io::Error::from(Errno::ACCESS);
        assert_eq!(Fault::of_connection(&denied, None), Fault::Unreachable);
    }

    #[test]
    fn what_the_other_machine_answers_is_the_peers_fault() {
        for errno in [
            Errno::CONNREFUSED,
            Errno::CONNRESET,
            Errno::CONNABORTED,
            Errno::PIPE,
            Errno::NOPROTOOPT,
        ] {
            assert_eq!(of(errno), Fault::Peer, "{errno:?}");
            assert_eq!(
                Fault::of_connection(&errno.into(), None),
                Fault::Peer,
                "{errno:?}"
            );
        }
        assert_eq!(Fault::of(&ErrorKind::UnexpectedEof.into()), Fault::Peer);
    }

    /// The loopback interface is up, and no interface has the other address.
    #[test]
    fn an_unreachable_network_is_our_fault_if_our_interface_is_down() {
        let error = io::Error::from(Errno::NETUNREACH);
        let up = Some(IpAddr::from([127, 0, 0, 1]));
        let gone = Some(IpAddr::from([192, 0, 2, 77]));
        assert_eq!(Fault::of_source(&error, up), Fault::Unreachable);
        assert_eq!(Fault::of_source(&error, gone), Fault::Own(Shortage::Network));
    }

    #[test]
    fn only_descriptors_and_memory_are_short_for_every_destination() {
        assert!(Shortage::Descriptors.is_general() && Shortage::Memory.is_general());
        for shortage in [Shortage::Ports, Shortage::Permission, Shortage::Network] {
            assert!(!shortage.is_general(), "{shortage:?}");
        }
    }

    #[test]
    fn an_error_without_a_known_meaning_says_nothing_about_the_peer() {
        // As tokio reports a runtime that shuts down.
        assert!(Fault::of(&io::Error::other("shutting down")).is_own());
    }
}
