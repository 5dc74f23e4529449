//! The kernel's table of neighbours: which hardware address a packet to an address on this network is sent to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use futures_util::TryStreamExt;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use rtnetlink::packet_route::route::{RouteAttribute, RouteType};
use rtnetlink::{Handle, RouteMessageBuilder};

/// A hardware address of the locally administered kind that nobody has: the engine's own begin with 02:42.
const NOBODY: [u8; 6] = [0x02, 0x00, 0x00, 0x00, 0x00, 0x00];

const ENTRY_GONE: i32 = -2;
const INTERFACE_GONE: i32 = -19;

/// Why the table of neighbours was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NeighbourError {
    #[error("the kernel's routing socket cannot be opened: {0}")]
    Socket(std::io::Error),
    #[error("{address} is not another machine on a network of this container")]
    NotBeside { address: Ipv4Addr },
    #[error("{what} {address}: {source}")]
    Kernel {
        what: &'static str,
        address: Ipv4Addr,
        source: rtnetlink::Error,
    },
}

/// The neighbours that are to be misled about, with the index of the interface that each is reached by.
#[derive(Debug)]
pub(crate) struct Neighbours {
    kernel: Handle,
    interfaces: BTreeMap<Ipv4Addr, u32>,
    misled: BTreeSet<Ipv4Addr>,
    connection: tokio::task::JoinHandle<()>,
}

impl Neighbours {
    /// Finds the interface that each of the addresses is reached by.
    pub(crate) async fn of(addresses: &[Ipv4Addr]) -> Result<Self, NeighbourError> {
        let (connection, kernel, _) = rtnetlink::new_connection().map_err(NeighbourError::Socket)?;
        let mut neighbours = Self {
            kernel,
            interfaces: BTreeMap::new(),
            misled: BTreeSet::new(),
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
                what: "finding the way to",
                address,
                source,
            })?
            .filter(|route| route.header.kind == RouteType::Unicast);
        // Behind a gateway, the gateway's entry decides, and it is everybody's.
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
            .ok_or(NeighbourError::NotBeside { address })
    }

    /// Sends all packets to `address` to nobody from now on, those of open connections too.
    pub(crate) async fn mislead(&mut self, address: Ipv4Addr) -> Result<(), NeighbourError> {
        let Some(interface) = self.interfaces.get(&address) else {
            return Err(NeighbourError::NotBeside { address });
        };
        // Before the kernel's answer, which nobody may wait for.
        self.misled.insert(address);
        // The kernel neither asks for nor learns what a permanent entry says.
        let added = self
            .kernel
            .neighbours()
            .add(*interface, IpAddr::V4(address))
            .link_layer_address(&NOBODY)
            .replace()
            .execute()
            .await;
        added.map_err(|source| NeighbourError::Kernel {
            what: "misleading about",
            address,
            source,
        })
    }

    /// Lets the kernel ask for the hardware address of `address` again.
    pub(crate) async fn restore(&mut self, address: Ipv4Addr) -> Result<(), NeighbourError> {
        let Some(interface) = self.interfaces.get(&address) else {
            return Err(NeighbourError::NotBeside { address });
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
                    what: "asking anew for",
                    address,
                    source,
                });
            }
            Ok(()) => {}
        }
        self.misled.remove(&address);
        Ok(())
    }

    /// Does so for all that it was misled about; each is tried, and the first failure told.
    pub(crate) async fn restore_all(mut self) -> Result<(), NeighbourError> {
        let mut result = Ok(());
        for address in std::mem::take(&mut self.misled) {
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
