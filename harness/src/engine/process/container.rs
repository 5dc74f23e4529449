//! Creates, lists and removes containers.

use std::fs;
use std::io;
use std::time::SystemTime;

use super::super::{Action, Container, ContainerSpec, END_WITH_STDIN, EngineError, ProcessMemory};
use super::loopback::{Node, discovery_file};
use super::record::{Record, milliseconds};
use super::store::{entries, random_id};
use super::{Core, Processes, failed, labelled, tree};

impl Processes {
    pub(crate) async fn containers(&self, with_label: &str) -> Result<Vec<Container>, EngineError> {
        let with_label = with_label.to_owned();
        self.list(move |record| labelled(&record.labels, &with_label))
            .await
    }

    pub(crate) async fn all_containers(&self) -> Result<Vec<Container>, EngineError> {
        self.list(|_| true).await
    }

    async fn list(
        &self,
        wanted: impl Fn(&Record) -> bool + Send + 'static,
    ) -> Result<Vec<Container>, EngineError> {
        self.blocking(move |core| {
            let list = || -> io::Result<Vec<Container>> {
                let records = core.records()?.into_iter();
                let wanted = records.filter(|(_, record)| wanted(record));
                wanted.map(|(id, record)| core.describe(id, record)).collect()
            };
            let mut containers = list().map_err(failed("listing containers"))?;
            containers.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(containers)
        })
        .await
    }

    pub(crate) async fn container(&self, id: &str) -> Result<Container, EngineError> {
        let id = id.to_owned();
        self.blocking(move |core| {
            let record = core.record(&id, "inspecting")?;
            let what = format!("inspecting container {id}");
            core.describe(id, record).map_err(failed(what))
        })
        .await
    }

    pub(crate) async fn create(&self, spec: ContainerSpec) -> Result<String, EngineError> {
        self.blocking(move |core| core.create(spec)).await
    }

    pub(crate) async fn remove(&self, id: &str) -> Result<(), EngineError> {
        self.remove_all(vec![id.to_owned()]).await
    }

    /// Scans the processes once for all containers.
    pub(crate) async fn remove_all(&self, ids: Vec<String>) -> Result<(), EngineError> {
        let known = self.blocking(move |core| {
            let mut known = Vec::new();
            for id in ids {
                match core.record(&id, "removing") {
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
        self.blocking(move |core| {
            for (id, record) in known {
                let removed = core.discard(&id, &record);
                removed.map_err(failed(format!("removing container {id}")))?;
            }
            Ok(())
        })
        .await?;
        // Another process may have started one meanwhile. After the removal of the directory, none can be started.
        self.end(&marks).await
    }

    pub(crate) async fn processes(&self, id: &str) -> Result<Vec<ProcessMemory>, EngineError> {
        let id = id.to_owned();
        self.blocking(move |core| {
            let what = || format!("listing the processes of container {id}");
            core.record(&id, "listing the processes of")?;
            let run = core.home(&id).run().map_err(failed(what()))?;
            let running = run.and_then(|run| Some((run.shell()?, run)));
            let Some((shell, run)) = running else {
                return Err(EngineError::Other {
                    what: what(),
                    reason: "it is not running".to_owned(),
                });
            };
            let all = tree::marked(&[&run.mark]);
            // The shell belongs to the engine, not to the container.
            let own = all.iter().filter(|process| process.pid != shell);
            let used = own.filter_map(|process| {
                Some(ProcessMemory {
                    program: process.stat.name.clone(),
                    resident_kib: process.resident_kib()?,
                })
            });
            Ok(used.collect())
        })
        .await
    }
}

impl Core {
    fn create(&self, spec: ContainerSpec) -> Result<String, EngineError> {
        let name = spec.service.container_name.clone();
        let what = || format!("creating container {name}");
        let missing = |kind: &str, which: &str| EngineError::Missing {
            what: what(),
            reason: format!("there is no {kind} {which}"),
        };
        let _lock = self.store.lock().map_err(failed(what()))?;
        let image = &spec.service.image;
        let found = self.find_image(image).map_err(failed(what()))?;
        let image_id = found.ok_or_else(|| missing("image", image))?.id;
        let others = self.records().map_err(failed(what()))?;
        if others.iter().any(|(_, record)| record.name == name) {
            return Err(EngineError::NameTaken { name: name.clone() });
        }
        let address = self
            .next_address(&spec.network, &others)
            .map_err(failed(what()))?
            .ok_or_else(|| missing("network", &spec.network))?;
        self.write_container(spec, image_id, address)
            .map_err(failed(what()))
    }

    fn write_container(
        &self,
        spec: ContainerSpec,
        image_id: String,
        address: std::net::Ipv4Addr,
    ) -> io::Result<String> {
        let service = spec.service;
        let id = random_id();
        let home = self.home(&id);
        let node = Node {
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
            let own = node.config(&text, discovery == Some(name.as_str()));
            fs::write(configs.join(&name), own)?;
        }
        let mut arguments = node.arguments(&service.command);
        if spec.lifeline {
            arguments.insert(0, END_WITH_STDIN.to_owned());
        }
        // Processes have the files of this machine.
        let mut environment = service.environment;
        for value in environment.values_mut() {
            if let Some(file) = service.files.iter().find(|file| file.target == *value) {
                *value = file.source.display().to_string();
            }
        }
        let ports = service.ports.iter().map(|port| port.container_port);
        let mut ports: Vec<_> = ports.map(|port| (port, node.bound(port))).collect();
        ports.sort_unstable();
        ports.dedup();
        let record = Record {
            name: service.container_name,
            labels: spec.labels,
            image: service.image,
            image_id,
            network: spec.network,
            address,
            command: service.command,
            arguments,
            environment,
            ports,
            lifeline: spec.lifeline,
            created_at: milliseconds(SystemTime::now()),
        };
        self.store.write(&fresh.join("container.json"), &record)?;
        fs::rename(fresh, &home.0)?;
        self.events.emit(&id, &record, Action::Create);
        Ok(id)
    }

    /// Removes the directory of a container whose processes have ended.
    fn discard(&self, id: &str, record: &Record) -> io::Result<()> {
        let home = self.home(id);
        if let Some(run) = home.run()? {
            self.events.end(&run.mark, home.exit_code_or_killed());
        }
        {
            let _lock = self.store.lock()?;
            self.store.discard(&home.0)?;
        }
        self.events.emit(id, record, Action::Destroy);
        Ok(())
    }
}
