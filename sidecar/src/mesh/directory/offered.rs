//! The instances that count, for the balancer: of several claims about one address, one. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::Directory;
use super::acceptance::{Acceptance, Exclusion, Place};
use crate::balance::service::{Instance, Instances, ServiceId};
use crate::mesh::wire::{Node, ServiceNode};

/// A node's claim that it offers an instance. Of those about one address the least counts.
///
/// The node that has the address speaks for it, then this node, then others; of equal ones the highest weight counts, so
/// that nobody silences an instance by naming it as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Claim<T> {
    address: SocketAddr,
    place: Place,
    weight: Reverse<u32>,
    why: T,
}

type Claims<T> = BTreeMap<ServiceId, Vec<Claim<T>>>;

impl<T> Claim<T> {
    fn instance(&self) -> Instance {
        Instance {
            address: self.address,
            weight: self.weight.0,
            at_node: self.place != Place::Elsewhere,
        }
    }
}

/// An instance that does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excluded<'a> {
    /// The node that offers it.
    pub node: &'a Node,
    /// The instance.
    pub service: &'a ServiceNode,
    /// Why it does not count.
    pub why: Exclusion,
}

impl Directory {
    /// The instances that count, for the balancer.
    pub fn instances(&self, acceptance: &Acceptance<'_>) -> Instances {
        let up = self.iter().map(|(node, service)| (node, service, ()));
        let offered = claims(acceptance, up, &BTreeSet::new());
        let mut known = addresses(&offered);
        let lost = claims(acceptance, self.last_choice(), &known);
        known.extend(addresses(&lost));
        // Of the addresses of others a node that is gone proves nothing.
        let replaced = self.lost.replaced().filter_map(|(node, service)| {
            let address = service.socket_address()?;
            let place = acceptance.place(node, address.ip());
            (place == Ok(Place::AtNode) && !known.contains(&address)).then_some(address)
        });
        Instances {
            replaced: replaced.collect(),
            offered: each(offered, Claim::instance),
            last_choice: each(lost, |claim| (claim.instance(), claim.why)),
        }
    }

    /// The instances that do not count.
    pub fn excluded<'a>(&'a self, acceptance: &Acceptance<'_>) -> impl Iterator<Item = Excluded<'a>> {
        self.all().filter_map(|(node, service)| {
            let why = acceptance.place(node, service.socket_address()?.ip()).err()?;
            Some(Excluded { node, service, why })
        })
    }
}

/// The claims that count, by service and address, except those about these addresses.
fn claims<'a, T: Copy + Ord>(
    acceptance: &Acceptance<'_>,
    all: impl Iterator<Item = (&'a Node, &'a ServiceNode, T)>,
    except: &BTreeSet<SocketAddr>,
) -> Claims<T> {
    let mut claims: Claims<T> = BTreeMap::new();
    for (node, service, why) in all {
        let Some(address) = service.socket_address() else {
            continue;
        };
        if let Ok(place) = acceptance.place(node, address.ip())
            && !except.contains(&address)
        {
            claims.entry(service.id()).or_default().push(Claim {
                address,
                place,
                weight: Reverse(service.weight()),
                why,
            });
        }
    }
    for claims in claims.values_mut() {
        claims.sort();
        claims.dedup_by_key(|claim| claim.address);
    }
    claims
}

fn addresses<T>(claims: &Claims<T>) -> BTreeSet<SocketAddr> {
    claims.values().flatten().map(|claim| claim.address).collect()
}

fn each<T, U>(claims: Claims<T>, convert: impl Fn(&Claim<T>) -> U) -> BTreeMap<ServiceId, Vec<U>> {
    let converted = claims
        .into_iter()
        .map(|(id, claims)| (id, claims.iter().map(&convert).collect()));
    converted.collect()
}
