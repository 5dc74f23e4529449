//! Changes to a running mesh: members are stopped, killed, paused, recreated, added and removed.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::{Mesh, Node};
use crate::cluster::topology::{Member, Scale};
use crate::error::Error;

impl Mesh {
    /// Stops a member gracefully. Returns its exit code and the duration of the stop.
    ///
    /// # Errors
    /// There is no such member, or the engine fails.
    pub async fn stop(&mut self, name: &str) -> Result<(i64, Duration), Error> {
        let node = self.node(name)?;
        let start = Instant::now();
        let grace = node.member.service.stop_grace_period;
        let code = self.engine.stop(&node.container.id, grace).await?;
        let took = start.elapsed();
        self.want(name, false);
        self.refresh().await?;
        Ok((code, took))
    }

    /// Starts the container of a member that was stopped or killed.
    ///
    /// # Errors
    /// There is no such member, or the engine fails.
    pub async fn start_again(&mut self, name: &str) -> Result<(), Error> {
        let node = self.node(name)?;
        let (id, container) = (node.container.id.clone(), node.container.name.clone());
        self.engine.start(&id, &container).await?;
        self.started(name);
        self.refresh().await
    }

    /// Stops a member gracefully and starts it again. Returns the result of [`Mesh::stop`].
    ///
    /// # Errors
    /// As [`Mesh::stop`] and [`Mesh::start_again`].
    pub async fn restart(&mut self, name: &str) -> Result<(i64, Duration), Error> {
        let stopped = self.stop(name).await?;
        self.start_again(name).await?;
        Ok(stopped)
    }

    /// Kills all processes of a member at once, as `kill -9` does.
    ///
    /// # Errors
    /// There is no such member, or the engine fails.
    pub async fn kill(&mut self, name: &str) -> Result<(), Error> {
        self.engine.kill(&self.node(name)?.container.id).await?;
        self.want(name, false);
        self.refresh().await
    }

    /// Pauses all processes of a member: its connections stay open, and it does not respond.
    ///
    /// # Errors
    /// There is no such member, or the engine fails.
    pub async fn pause(&mut self, name: &str) -> Result<(), Error> {
        self.engine.pause(&self.node(name)?.container.id).await?;
        self.want(name, false);
        Ok(())
    }

    /// Resumes a paused member.
    ///
    /// # Errors
    /// There is no such member, or the engine fails.
    pub async fn unpause(&mut self, name: &str) -> Result<(), Error> {
        self.engine.unpause(&self.node(name)?.container.id).await?;
        self.started(name);
        Ok(())
    }

    /// Kills and removes a member's container, and creates and starts another under the same name.
    ///
    /// # Errors
    /// There is no such member, the mesh was not started by this process, or the engine fails.
    pub async fn recreate(&mut self, name: &str) -> Result<(), Error> {
        let node = self.node(name)?;
        let member = node.member.clone();
        self.engine.remove(&node.container.id).await?;
        let node = self.create(member).await?;
        if let Some(known) = self.nodes.iter_mut().find(|known| known.member.name() == name) {
            *known = node;
        }
        Ok(())
    }

    /// A copy of the member `like` under another name, to be added.
    ///
    /// # Errors
    /// There is no such member.
    pub fn another(&self, like: &str, name: &str) -> Result<Member, Error> {
        let mut member = self.node(like)?.member.clone();
        name.clone_into(&mut member.service.name);
        Ok(member.replica(&self.topology.project, 1))
    }

    /// Adds containers of a service, or removes those with the highest numbers gracefully. Returns how many there were.
    ///
    /// # Errors
    /// The service cannot be scaled, Compose started the mesh, or the engine fails.
    pub async fn scale(&mut self, scale: &Scale) -> Result<usize, Error> {
        let project = self.topology.project.clone();
        let Scale { service, count } = scale;
        let template = self.topology.scalable(service)?.clone();
        let of_service = |node: &&Node| node.member.service.name == *service;
        let present: Vec<Node> = self.nodes.iter().filter(of_service).cloned().collect();
        let kept = present.len().min(usize::try_from(*count).unwrap_or(usize::MAX));
        let grace = template.service.stop_grace_period;
        let removals = present[kept..].iter().map(async |node| {
            self.engine.stop(&node.container.id, grace).await?;
            self.engine.remove(&node.container.id).await
        });
        join_all(removals).await.into_iter().collect::<Result<(), _>>()?;
        let removed = |member: &Member| {
            present[kept..]
                .iter()
                .any(|node| node.member.name() == member.name())
        };
        self.nodes.retain(|node| !removed(&node.member));
        // A member of the file without a container gives way to the first that is added.
        let has_node = |member: &Member| self.nodes.iter().any(|node| node.member.name() == member.name());
        self.topology
            .members
            .retain(|member| member.service.name != *service || has_node(member));
        let last = present.last().map_or(0, |node| node.member.number);
        if let Some(missing) = count
            .checked_sub(u32::try_from(kept).unwrap_or(u32::MAX))
            .filter(|&missing| missing > 0)
        {
            let spec = match &self.spec {
                Some(spec) => spec.clone(),
                None => self.running_spec().await?,
            };
            let named = self.engine.image(&self.topology.image).await?;
            let renamed = named.is_none_or(|image| image.id != spec.image.id);
            let added = (last + 1..=last + missing).map(|number| {
                let mut member = template.replica(&project, number);
                // The image's name may belong to a later image.
                if renamed {
                    member.service.image.clone_from(&spec.image.id);
                }
                spec.start(&self.engine, &self.topology, member)
            });
            for started in join_all(added).await {
                let (node, at) = started?;
                self.last_start = self.last_start.max(at);
                self.topology.members.push(node.member.clone());
                self.nodes.push(node);
            }
        }
        Ok(present.len())
    }

    /// Creates and starts the container of a new member.
    ///
    /// # Errors
    /// The mesh was not started by this process, or the engine fails.
    pub async fn add(&mut self, member: Member) -> Result<(), Error> {
        let node = self.create(member.clone()).await?;
        self.topology.members.push(member);
        self.nodes.push(node);
        Ok(())
    }

    /// Stops a member gracefully and removes it from the mesh. Returns the result of [`Mesh::stop`].
    ///
    /// # Errors
    /// There is no such member, or the engine fails.
    pub async fn remove(&mut self, name: &str) -> Result<(i64, Duration), Error> {
        let stopped = self.stop(name).await?;
        self.engine.remove(&self.node(name)?.container.id).await?;
        self.topology.members.retain(|member| member.name() != name);
        self.nodes.retain(|node| node.member.name() != name);
        Ok(stopped)
    }

    /// Copies the node of one member from `changed`, a clone of this mesh in which the member was changed.
    pub fn take_over(&mut self, name: &str, changed: &Self) {
        let known = |nodes: &[Node]| nodes.iter().position(|node| node.member.name() == name);
        if let (Some(here), Some(there)) = (known(&self.nodes), known(&changed.nodes)) {
            self.nodes[here] = changed.nodes[there].clone();
            self.last_start = self.last_start.max(changed.last_start);
        }
    }

    async fn create(&mut self, member: Member) -> Result<Node, Error> {
        let spec = self.spec()?;
        let (node, at) = spec.start(&self.engine, &self.topology, member).await?;
        self.last_start = at;
        Ok(node)
    }

    fn started(&mut self, name: &str) {
        self.last_start = Instant::now();
        self.want(name, true);
    }

    fn want(&mut self, name: &str, wanted: bool) {
        for node in self.nodes.iter_mut().filter(|node| node.member.name() == name) {
            node.wanted = wanted;
        }
    }
}
