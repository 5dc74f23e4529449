//! The kernel's interfaces and addresses, by rtnetlink (RFC 3549; `man 7 rtnetlink`).

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{
    DecodeError, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NlasIterator, parse_ip,
    parse_string, parse_u32,
};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{AsyncSocket, AsyncSocketExt, Socket, SocketAddr, TokioSocket};

use super::table::{Address, AddressFlags, Interface};

/// Message types.
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
/// Attribute of a link: its name.
const IFLA_IFNAME: u16 = 3;
/// Attributes of an address: the other end's of a point-to-point link; the address; all its flags.
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
/// Flags of a link.
const IFF_UP: u32 = 1;
const IFF_LOOPBACK: u32 = 8;
/// Lengths of a message's header, and of what precedes the attributes of a link and of an address, in bytes.
const HEADER: usize = 16;
const LINK: usize = 16;
const ADDRESS: usize = 8;

/// Multicast groups: changes of links, of IPv4 addresses, of IPv6 addresses.
const GROUPS: [u32; 3] = [1, 5, 9];
/// Bytes read of a notification; the rest is cut off.
const START: usize = 16;
/// Notifications read at once, so that a machine that changes all the time stops nothing else.
const MAX_READ: usize = 256;

/// All interfaces with their addresses. The kernel answers at once.
pub(super) fn interfaces() -> io::Result<Vec<Interface>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut found: Vec<(u32, Interface)> = Vec::new();
    dump(&socket, RTM_GETLINK, LINK, |kind, message| {
        if kind == RTM_NEWLINK {
            found.extend(link(message)?);
        }
        Ok(())
    })?;
    dump(&socket, RTM_GETADDR, ADDRESS, |kind, message| {
        if kind == RTM_NEWADDR
            && let Some((of, address)) = address(message)?
            && let Some((_, interface)) = found.iter_mut().find(|(index, _)| *index == of)
        {
            interface.addresses.push(address);
        }
        Ok(())
    })?;
    Ok(found.into_iter().map(|(_, interface)| interface).collect())
}

/// Asks for all objects of a kind with an empty message of this length, and passes each answer's type and content on.
fn dump(
    socket: &Socket,
    kind: u16,
    length: usize,
    mut each: impl FnMut(u16, &[u8]) -> Result<(), DecodeError>,
) -> io::Result<()> {
    let mut request = vec![0; HEADER + length];
    let mut header = NetlinkBuffer::new(&mut request);
    header.set_length(u32::try_from(HEADER + length).unwrap_or_default());
    header.set_message_type(kind);
    header.set_flags(NLM_F_REQUEST | NLM_F_DUMP);
    socket.send(&request, 0)?;
    loop {
        let (bytes, _) = socket.recv_from_full()?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let message = NetlinkBuffer::new_checked(&rest).map_err(io::Error::other)?;
            match message.message_type() {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => return Err(refusal(message.payload())),
                kind => each(kind, message.payload()).map_err(io::Error::other)?,
            }
            let length = usize::try_from(message.length()).unwrap_or(usize::MAX);
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

fn refusal(payload: &[u8]) -> io::Error {
    let code = payload.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
    io::Error::from_raw_os_error(code.saturating_neg())
}

/// A link's index, and its interface without addresses (`struct ifinfomsg`).
fn link(message: &[u8]) -> Result<Option<(u32, Interface)>, DecodeError> {
    let Some((head, attributes)) = message.split_at_checked(LINK) else {
        return Ok(None);
    };
    let (index, flags) = (parse_u32(&head[4..8])?, parse_u32(&head[8..12])?);
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute?;
        if attribute.kind() == IFLA_IFNAME {
            let interface = Interface {
                name: parse_string(attribute.value())?,
                loopback: flags & IFF_LOOPBACK != 0,
                up: flags & IFF_UP != 0,
                addresses: Vec::new(),
            };
            return Ok(Some((index, interface)));
        }
    }
    Ok(None)
}

/// The index of an address's interface, and the address (`struct ifaddrmsg`).
fn address(message: &[u8]) -> Result<Option<(u32, Address)>, DecodeError> {
    let Some((head, attributes)) = message.split_at_checked(ADDRESS) else {
        return Ok(None);
    };
    let (prefix, scope, index) = (head[1], head[3], parse_u32(&head[4..8])?);
    let mut flags = AddressFlags(head[2].into());
    let (mut local, mut other): (Option<IpAddr>, Option<IpAddr>) = (None, None);
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute?;
        match attribute.kind() {
            IFA_LOCAL => local = Some(parse_ip(attribute.value())?),
            IFA_ADDRESS => other = Some(parse_ip(attribute.value())?),
            IFA_FLAGS => flags = AddressFlags(parse_u32(attribute.value())?),
            _ => {}
        }
    }
    let net = local.or(other).and_then(|ip| IpNet::new(ip, prefix).ok());
    Ok(net.map(|net| (index, Address { net, scope, flags })))
}

/// Notifications of changes. What they say is not read: after each, everything is read again, so that nothing is lost
/// when the kernel drops some.
pub(super) struct Changes(TokioSocket);

impl Changes {
    pub(super) fn subscribe() -> io::Result<Self> {
        let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
        socket.socket_mut().bind_auto()?;
        for group in GROUPS {
            socket.socket_ref().add_membership(group)?;
        }
        Ok(Self(socket))
    }

    /// Waits for changes, and takes the notifications that are there. Cancel-safe.
    pub(super) async fn next(&mut self) -> io::Result<()> {
        let first = self.0.recv(&mut [0; START].as_mut_slice()).await;
        overflow_is_a_change(first)?;
        for _ in 0..MAX_READ {
            match self.0.socket_ref().recv(&mut [0; START].as_mut_slice(), 0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                read => overflow_is_a_change(read.map(|_| ()))?,
            }
        }
        Ok(())
    }
}

fn overflow_is_a_change(read: io::Result<()>) -> io::Result<()> {
    let overflow = rustix::io::Errno::NOBUFS.raw_os_error();
    match read {
        Err(error) if error.raw_os_error() == Some(overflow) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        read => read,
    }
}
