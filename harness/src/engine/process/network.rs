//! Networks: each is a /24 of 127.0.0.0/8.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::Ipv4Addr;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::super::{EngineError, Network};
use super::record as container;
use super::store::{self, entries, random_id};
use super::{Core, Processes, failed, labelled};

/// Second byte of a network's addresses; 127.0 to 127.63 are left to other programs.
const SECOND: std::ops::RangeInclusive<u8> = 64..=254;
/// Last byte of a node's address. As with Docker, the first address is reserved for the engine.
const NODES: std::ops::RangeInclusive<u8> = 2..=254;
/// Random choices of a network before all are assumed to be taken.
const DRAWS: usize = 10_000;

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    name: String,
    labels: BTreeMap<String, String>,
    /// The first three bytes of its addresses.
    prefix: [u8; 3],
}

impl Processes {
    pub(crate) async fn create_network(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<String, EngineError> {
        let (name, labels) = (name.to_owned(), labels.clone());
        self.blocking(move |core| {
            let what = format!("creating network {name}");
            core.add_network(name, labels).map_err(failed(what))
        })
        .await
    }

    pub(crate) async fn networks(&self, with_label: &str) -> Result<Vec<Network>, EngineError> {
        let with_label = with_label.to_owned();
        self.blocking(move |core| {
            let all = core.network_records().map_err(failed("listing networks"))?;
            let all = all
                .into_iter()
                .filter(|(_, record)| labelled(&record.labels, &with_label));
            let network = |(id, record): (String, Record)| Network {
                id,
                name: record.name,
                labels: record.labels,
            };
            Ok(all.map(network).collect())
        })
        .await
    }

    pub(crate) async fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        let id = id.to_owned();
        self.blocking(move |core| {
            let removed = core.discard_network(&id);
            removed.map_err(failed(format!("removing network {id}")))
        })
        .await
    }
}

impl Core {
    fn network_records(&self) -> io::Result<Vec<(String, Record)>> {
        let mut records = Vec::new();
        for (id, directory) in entries(&self.store.networks())? {
            if let Some(record) = store::read(&directory.join("network.json"))? {
                records.push((id, record));
            }
        }
        Ok(records)
    }

    fn add_network(&self, name: String, labels: BTreeMap<String, String>) -> io::Result<String> {
        let _lock = self.store.lock()?;
        let taken: BTreeSet<[u8; 3]> = self
            .network_records()?
            .iter()
            .map(|(_, record)| record.prefix)
            .collect();
        let mut draws = (0..DRAWS).map(|_| [127, rand::rng().random_range(SECOND), rand::random()]);
        let prefix = draws
            .find(|prefix| !taken.contains(prefix))
            .ok_or_else(|| io::Error::other("all networks of 127.0.0.0/8 are taken"))?;
        let fresh = self.store.fresh()?;
        let record = Record { name, labels, prefix };
        self.store.write(&fresh.join("network.json"), &record)?;
        let id = random_id();
        fs::rename(fresh, self.store.networks().join(&id))?;
        Ok(id)
    }

    fn discard_network(&self, id: &str) -> io::Result<()> {
        let _lock = self.store.lock()?;
        if let Some((_, record)) = self
            .records()?
            .into_iter()
            .find(|(_, record)| record.network == id)
        {
            return Err(io::Error::other(format!(
                "container {} is attached to it",
                record.name
            )));
        }
        match entries(&self.store.networks())?
            .into_iter()
            .find(|(known, _)| known == id)
        {
            Some((_, directory)) => self.store.discard(&directory),
            None => Ok(()),
        }
    }

    /// The next free address on the network after the one assigned last, so that an address is not reused at once;
    /// `None` if there is no such network. The caller holds the lock.
    pub(super) fn next_address(
        &self,
        network: &str,
        containers: &[(String, container::Record)],
    ) -> io::Result<Option<Ipv4Addr>> {
        let all = self.network_records()?;
        let Some((_, record)) = all.into_iter().find(|(id, _)| id == network) else {
            return Ok(None);
        };
        let [a, b, c] = record.prefix;
        let file = self.store.networks().join(network).join("last.json");
        let last = store::read::<u8>(&file)?.unwrap_or(0);
        let free = |address| {
            let mut containers = containers.iter();
            containers.all(|(_, record)| record.network != network || record.address != address)
        };
        let later = NODES.filter(|node| *node > last);
        let found = later
            .chain(NODES)
            .find(|node| free(Ipv4Addr::new(a, b, c, *node)))
            .ok_or_else(|| io::Error::other("all addresses of the network are taken"))?;
        self.store.write(&file, &found)?;
        Ok(Some(Ipv4Addr::new(a, b, c, found)))
    }
}
