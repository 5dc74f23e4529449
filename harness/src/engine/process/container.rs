//! Containers: make, remove, look at.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::time::SystemTime;

use super::super::{Action, Container, Creation, END_WITH_STDIN, EngineError, ProcessUse};
use super::record::{Record, milliseconds};
use super::store::{self, entries, random_id};
use super::translate::{Place, discovery_file};
use super::{Engine, Processes, failed, labelled, tree};
use crate::compose::Service;

/// What a container is made from, owned.
struct Order {
    service: Service,
    network: String,
    labels: std::collections::BTreeMap<String, String>,
    lifeline: bool,
}

impl Processes {
    /// All containers with a label (`name`, or `name=value`), stopped ones included, sorted by name.
    ///
    /// # Errors
    /// The system's.
    pub async fn containers(&self, with_label: &str) -> Result<Vec<Container>, EngineError> {
        let with_label = with_label.to_owned();
        self.list(move |record| labelled(&record.labels, &with_label))
            .await
    }

    /// All containers of the engine, sorted by name.
    ///
    /// # Errors
    /// The system's.
    pub async fn all_containers(&self) -> Result<Vec<Container>, EngineError> {
        self.list(|_| true).await
    }

    async fn list(
        &self,
        wanted: impl Fn(&Record) -> bool + Send + 'static,
    ) -> Result<Vec<Container>, EngineError> {
        self.blocking(move |engine| {
            let list = || -> io::Result<Vec<Container>> {
                let records = engine.records()?.into_iter();
                let wanted = records.filter(|(_, record)| wanted(record));
                wanted.map(|(id, record)| engine.describe(id, record)).collect()
            };
            let mut containers = list().map_err(failed("listing containers"))?;
            containers.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(containers)
        })
        .await
    }

    /// One container, by its id.
    ///
    /// # Errors
    /// There is none with that id, or the system's.
    pub async fn container(&self, id: &str) -> Result<Container, EngineError> {
        let id = id.to_owned();
        self.blocking(move |engine| {
            let record = engine.record(&id, "looking at")?;
            let what = format!("looking at container {id}");
            engine.describe(id, record).map_err(failed(what))
        })
        .await
    }

    /// Makes a container; it does not run yet. Answers with its id.
    ///
    /// # Errors
    /// Its name is taken, its image or its network is missing, or the system's.
    pub async fn create(&self, creation: Creation<'_>) -> Result<String, EngineError> {
        let order = Order {
            service: creation.service.clone(),
            network: creation.network.to_owned(),
            labels: creation.labels.clone(),
            lifeline: creation.lifeline,
        };
        self.blocking(move |engine| engine.create(order)).await
    }

    /// Kills and removes a container. One that is gone already is no error.
    ///
    /// # Errors
    /// The system's.
    pub async fn remove(&self, id: &str) -> Result<(), EngineError> {
        self.remove_all(vec![id.to_owned()]).await
    }

    /// Kills and removes containers, all at once: the processes of all are found in one look.
    ///
    /// # Errors
    /// The system's.
    pub async fn remove_all(&self, ids: Vec<String>) -> Result<(), EngineError> {
        let known = self.blocking(move |engine| {
            let mut known = Vec::new();
            for id in ids {
                match engine.record(&id, "removing") {
                    Ok(record) => known.push((id, record)),
                    Err(EngineError::Missing { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(known)
        });
        let known = known.await?;
        let marks: Vec<String> = known.iter().map(|(id, _)| format!("{id}/")).collect();
        self.end(&marks).await?;
        self.blocking(move |engine| {
            for (id, record) in known {
                let removed = engine.discard(&id, &record);
                removed.map_err(failed(format!("removing container {id}")))?;
            }
            Ok(())
        })
        .await?;
        // Somebody may have started one in between; nobody can any more.
        self.end(&marks).await
    }

    /// The processes in a container and the memory that each holds.
    ///
    /// # Errors
    /// It does not run, or it is gone.
    pub async fn processes(&self, id: &str) -> Result<Vec<ProcessUse>, EngineError> {
        let id = id.to_owned();
        self.blocking(move |engine| {
            let what = || format!("listing the processes of container {id}");
            engine.record(&id, "listing the processes of")?;
            let run = engine.home(&id).run().map_err(failed(what()))?;
            let running = run.and_then(|run| Some((run.first()?, run)));
            let Some((first, run)) = running else {
                return Err(EngineError::Engine {
                    what: what(),
                    reason: "it does not run".to_owned(),
                });
            };
            let all = tree::marked(&[&run.mark]);
            // The first is the shell that is this engine's, not the container's.
            let own = all.iter().filter(|process| process.pid != first);
            let used = own.filter_map(|process| {
                Some(ProcessUse {
                    program: process.stat.name.clone(),
                    resident_kib: process.resident_kib()?,
                })
            });
            Ok(used.collect())
        })
        .await
    }
}

impl Engine {
    fn create(&self, order: Order) -> Result<String, EngineError> {
        let name = order.service.container_name.clone();
        let what = || format!("creating container {name}");
        let missing = |thing: &str, which: &str| EngineError::Missing {
            what: what(),
            reason: format!("there is no {thing} {which}"),
        };
        let _lock = self.store.lock().map_err(failed(what()))?;
        let image = &order.service.image;
        let found = self.find_image(image).map_err(failed(what()))?;
        let image_id = found.ok_or_else(|| missing("image", image))?.id;
        let others = self.records().map_err(failed(what()))?;
        if others.iter().any(|(_, record)| record.name == name) {
            return Err(EngineError::NameTaken { name: name.clone() });
        }
        let on_network = others
            .iter()
            .filter(|(_, record)| record.network == order.network);
        let taken: Vec<Ipv4Addr> = on_network.map(|(_, record)| record.address).collect();
        let address = self
            .next_address(&order.network, &taken)
            .map_err(failed(what()))?;
        let address = address.ok_or_else(|| missing("network", &order.network))?;
        self.write_container(order, image_id, address)
            .map_err(failed(what()))
    }

    /// Forgets a container whose processes have ended.
    fn discard(&self, id: &str, record: &Record) -> io::Result<()> {
        let home = self.home(id);
        self.lifelines().remove(id);
        if let Some(run) = home.run()? {
            self.tell_end(id, &run, home.exit_code_or_killed());
        }
        {
            let _lock = self.store.lock()?;
            self.store.discard(&home.0)?;
        }
        self.tell_removal(id, record);
        Ok(())
    }

    fn write_container(&self, order: Order, image_id: String, address: Ipv4Addr) -> io::Result<String> {
        let service = order.service;
        let id = random_id();
        let home = self.home(&id);
        let place = Place {
            address,
            name: id.get(..12).unwrap_or(&id),
            configs: &home.configs(),
            ports: &service.ports,
        };
        let fresh = self.store.fresh()?;
        let configs = fresh.join("etc");
        fs::create_dir(&configs)?;
        let discovery = discovery_file(&service.command);
        for (name, file) in entries(&self.image_files(&image_id).join("etc/sidecar"))? {
            let text = fs::read_to_string(file)?;
            fs::write(
                configs.join(&name),
                place.config(&text, discovery == Some(name.as_str())),
            )?;
        }
        let mut arguments = place.arguments(&service.command);
        if order.lifeline {
            arguments.insert(0, END_WITH_STDIN.to_owned());
        }
        let mut ports: Vec<_> = service
            .ports
            .iter()
            .map(|port| (port.container_port, place.bound(port.container_port)))
            .collect();
        ports.sort_unstable();
        ports.dedup();
        let shared = ports.iter().map(|(_, bound)| *bound);
        let record = Record {
            shared: shared.filter(|bound| bound.ip() != address).collect(),
            name: service.container_name,
            labels: order.labels,
            image: service.image,
            image_id,
            network: order.network,
            address,
            command: service.command,
            arguments,
            environment: service.environment,
            ports,
            lifeline: order.lifeline,
            made: milliseconds(SystemTime::now()),
        };
        store::write(&fresh.join("container.json"), &record)?;
        fs::rename(fresh, &home.0)?;
        self.tell(&id, &record, Action::Create);
        Ok(id)
    }
}
