//! The kernel's interfaces and addresses, by rtnetlink (RFC 3549; `man 7 rtnetlink`).

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{
    DecodeError, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NlasIterator, Parseable, parse_string,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{LinkFlags, LinkHeader, LinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{AsyncSocket, AsyncSocketExt, Socket, SocketAddr, TokioSocket};

use super::table::{Address, Interface};

/// Message types, and the attribute with an interface's name.
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const IFLA_IFNAME: u16 = 3;
/// Length of the header before a link's attributes, in bytes.
const LINK_HEADER: usize = 16;

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
    dump(
        &socket,
        RouteNetlinkMessage::GetLink(LinkMessage::default()),
        |kind, payload| {
            if kind == RTM_NEWLINK {
                found.extend(link(payload)?);
            }
            Ok(())
        },
    )?;
    dump(
        &socket,
        RouteNetlinkMessage::GetAddress(AddressMessage::default()),
        |kind, payload| {
            if kind == RTM_NEWADDR
                && let Some((of, address)) = address(payload)?
                && let Some((_, interface)) = found.iter_mut().find(|(index, _)| *index == of)
            {
                interface.addresses.push(address);
            }
            Ok(())
        },
    )?;
    Ok(found.into_iter().map(|(_, interface)| interface).collect())
}

/// Asks for all objects of a kind, and passes each message's type and content on.
fn dump(
    socket: &Socket,
    what: RouteNetlinkMessage,
    mut each: impl FnMut(u16, &[u8]) -> Result<(), DecodeError>,
) -> io::Result<()> {
    let mut request = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(what));
    request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
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

/// Reads the name only: new kernels add attributes, some of which the crate's parser refuses.
fn link(payload: &[u8]) -> Result<Option<(u32, Interface)>, DecodeError> {
    let header = LinkHeader::parse(payload)?;
    for attribute in NlasIterator::new(payload.get(LINK_HEADER..).unwrap_or_default()) {
        let attribute = attribute?;
        if attribute.kind() == IFLA_IFNAME {
            let interface = Interface {
                name: parse_string(attribute.value())?,
                loopback: header.flags.contains(LinkFlags::Loopback),
                up: header.flags.contains(LinkFlags::Up),
                addresses: Vec::new(),
            };
            return Ok(Some((header.index, interface)));
        }
    }
    Ok(None)
}

/// The index of an address's interface, and the address.
fn address(payload: &[u8]) -> Result<Option<(u32, Address)>, DecodeError> {
    let message = AddressMessage::parse(payload)?;
    let mut flags = AddressFlags::from_bits_retain(message.header.flags.bits().into());
    let (mut local, mut other) = (None, None);
    for attribute in message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(ip),
            // Of a point-to-point link, this is the other end's.
            AddressAttribute::Address(ip) => other = Some(ip),
            AddressAttribute::Flags(all) => flags = all,
            _ => {}
        }
    }
    let ip: Option<IpAddr> = local.or(other);
    let net = ip.and_then(|ip| IpNet::new(ip, message.header.prefix_len).ok());
    Ok(net.map(|net| {
        let scope = message.header.scope;
        (message.header.index, Address { net, scope, flags })
    }))
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
