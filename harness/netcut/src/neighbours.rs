//! The kernel's neighbour table (ARP), which maps an IP address on this network to a hardware address. Packets to an
//! address whose entry has an unused hardware address are lost.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use futures_util::TryStreamExt;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use rtnetlink::packet_route::route::{RouteAttribute, RouteType};
use rtnetlink::{Handle, RouteMessageBuilder};

/// A locally administered hardware address that no interface has: the engine's addresses begin with 02:42.
const UNUSED: [u8; 6] = [0x02, 0x00, 0x00, 0x00, 0x00, 0x00];

/// ENOENT.
const ENTRY_GONE: i32 = -2;
/// ENODEV.
const INTERFACE_GONE: i32 = -19;

/// Why the neighbour table was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NeighbourError {
    #[error("the kernel's routing socket cannot be opened: {0}")]
    Socket(std::io::Error),
    #[error("{address} is not another machine on a network of this container")]
    NotNeighbour { address: Ipv4Addr },
    #[error("{what} {address}: {source}")]
    Kernel {
        what: &'static str,
        address: Ipv4Addr,
        source: rtnetlink::Error,
    },
}

/// The neighbours to cut off.
#[derive(Debug)]
pub(crate) struct Neighbours {
    kernel: Handle,
    /// The index of each neighbour's interface.
    interfaces: BTreeMap<Ipv4Addr, u32>,
    /// The neighbours that are currently cut off.
    cut: BTreeSet<Ipv4Addr>,
    connection: tokio::task::JoinHandle<()>,
}

impl Neighbours {
    /// Looks up the interface of each address.
    pub(crate) async fn of(addresses: &[Ipv4Addr]) -> Result<Self, NeighbourError> {
        let (connection, kernel, _) = rtnetlink::new_connection().map_err(NeighbourError::Socket)?;
        let mut neighbours = Self {
            kernel,
            interfaces: BTreeMap::new(),
            cut: BTreeSet::new(),
            connection: tokio::spawn(connection),
        };
        for address in addresses {
            let interface = neighbours.interface(*address).await?;
            neighbours.interfaces.insert(*address, interface);
        }
        Ok(neighbours)
    }

    async fn interface(&self, address: Ipv4Addr) -> Result<u32, NeighbourError> {
        let request = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(address, 32)
            .build();
        let answer = self.kernel.route().get(request).execute().try_next().await;
        let route = answer
            .map_err(|source| NeighbourError::Kernel {
                what: "finding the route to",
                address,
                source,
            })?
            .filter(|route| route.header.kind == RouteType::Unicast);
        // A destination behind a gateway cannot be cut off alone: it shares the gateway's entry with other
        // destinations.
        let attributes = route.map(|route| route.attributes).unwrap_or_default();
        let direct = !attributes
            .iter()
            .any(|attribute| matches!(attribute, RouteAttribute::Gateway(_)));
        attributes
            .into_iter()
            .find_map(|attribute| match attribute {
                RouteAttribute::Oif(index) if direct => Some(index),
                _ => None,
            })
            .ok_or(NeighbourError::NotNeighbour { address })
    }

    /// Drops all packets to `address`, including those of open connections.
    pub(crate) async fn cut_off(&mut self, address: Ipv4Addr) -> Result<(), NeighbourError> {
        let Some(interface) = self.interfaces.get(&address) else {
            return Err(NeighbourError::NotNeighbour { address });
        };
        // Recorded first, because this future may be dropped before the kernel answers.
        self.cut.insert(address);
        // A permanent entry, which the kernel does not update.
        let added = self
            .kernel
            .neighbours()
            .add(*interface, IpAddr::V4(address))
            .link_layer_address(&UNUSED)
            .replace()
            .execute()
            .await;
        added.map_err(|source| NeighbourError::Kernel {
            what: "cutting off",
            address,
            source,
        })
    }

    /// Removes the entry of `address`, so that the kernel resolves it again.
    pub(crate) async fn restore(&mut self, address: Ipv4Addr) -> Result<(), NeighbourError> {
        let Some(interface) = self.interfaces.get(&address) else {
            return Err(NeighbourError::NotNeighbour { address });
        };
        let mut entry = NeighbourMessage::default();
        entry.header.family = AddressFamily::Inet;
        entry.header.ifindex = *interface;
        entry
            .attributes
            .push(NeighbourAttribute::Destination(NeighbourAddress::Inet(address)));
        match self.kernel.neighbours().del(entry).execute().await {
            Err(rtnetlink::Error::NetlinkError(error))
                if matches!(error.raw_code(), ENTRY_GONE | INTERFACE_GONE) => {}
            Err(source) => {
                return Err(NeighbourError::Kernel {
                    what: "restoring",
                    address,
                    source,
                });
            }
            Ok(()) => {}
        }
        self.cut.remove(&address);
        Ok(())
    }

    /// Restores all neighbours that are cut off. Continues after an error; returns the first one.
    pub(crate) async fn restore_all(mut self) -> Result<(), NeighbourError> {
        let mut result = Ok(());
        for address in std::mem::take(&mut self.cut) {
            result = result.and(self.restore(address).await);
        }
        result
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
