//! An ordered, weighted set of server groups: the backends of a listener. Picks the group, which picks the server.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::endpoint::Priority;
use super::error::AttachError;
use super::group::{Lease, ServerGroup};
use super::tried::Tried;
use super::wrr;

/// A set of groups, shared by the listeners that pick from it and the control plane that changes it.
#[derive(Debug)]
pub struct ServerGroups {
    name: Arc<str>,
    attached: Mutex<Vec<Attached>>,
}

/// A group of a set.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// The group.
    pub group: Arc<ServerGroup>,
    /// Its share of connections relative to the other groups; at 0 it takes only connections that name the group.
    pub weight: u32,
}

#[derive(Debug)]
struct Attached {
    group: Arc<ServerGroup>,
    weight: u32,
    /// Its current weight in the weighted round robin over the groups ([`wrr`]).
    current_weight: i64,
    /// The priority of its best candidate, as of the current pick.
    priority: Option<Priority>,
    /// Whether it was eligible when a connection last made its first pick.
    was_eligible: bool,
}

impl wrr::Weighted for Attached {
    fn weight(&self) -> u32 {
        self.weight
    }

    fn current_weight(&mut self) -> &mut i64 {
        &mut self.current_weight
    }
}

impl ServerGroups {
    /// An empty set.
    pub fn new(name: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            name: name.into().into(),
            attached: Mutex::default(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name, shared with its connections.
    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// Adds a group at the end.
    ///
    /// # Errors
    /// When a group of that name is in the set.
    pub fn attach(&self, group: Arc<ServerGroup>, weight: u32) -> Result<(), AttachError> {
        let mut attached = self.attached();
        if attached.iter().any(|a| a.group.name() == group.name()) {
            return Err(AttachError::Attached {
                groups: self.name.to_string(),
                group: group.name().to_owned(),
            });
        }
        attached.push(Attached {
            group,
            weight,
            current_weight: 0,
            priority: None,
            was_eligible: false,
        });
        Ok(())
    }

    /// Removes a group. Its connections live on.
    ///
    /// # Errors
    /// When it is not in the set.
    pub fn detach(&self, group: &str) -> Result<(), AttachError> {
        let mut attached = self.attached();
        let index = self.index(&attached, group)?;
        attached.remove(index);
        wrr::restart(&mut attached);
        Ok(())
    }

    /// Changes a group's weight, from the next pick on.
    ///
    /// # Errors
    /// When it is not in the set.
    pub fn set_weight(&self, group: &str, weight: u32) -> Result<(), AttachError> {
        let mut attached = self.attached();
        let index = self.index(&attached, group)?;
        if std::mem::replace(&mut attached[index].weight, weight) != weight {
            wrr::restart(&mut attached);
        }
        Ok(())
    }

    /// The groups in order.
    pub fn groups(&self) -> Vec<Attachment> {
        let attached = self.attached();
        let view = |a: &Attached| Attachment {
            group: Arc::clone(&a.group),
            weight: a.weight,
        };
        attached.iter().map(view).collect()
    }

    /// Picks a server for a client: the group by smooth weighted round robin among those whose best candidate has the
    /// highest priority, the server by that group's method. `None` if no group has a candidate.
    pub fn pick(&self, client: IpAddr, tried: &Tried) -> Option<Lease> {
        let mut attached = self.attached();
        // A group's last candidate may disappear between `priority` and `pick`: then another group is picked.
        for _ in 0..=attached.len() {
            let group = Self::next_group(&mut attached, tried)?;
            if let Some(lease) = group.pick(client, tried) {
                return Some(lease);
            }
        }
        None
    }

    fn next_group<'a>(attached: &'a mut [Attached], tried: &Tried) -> Option<&'a Arc<ServerGroup>> {
        for one in &mut *attached {
            one.priority = if one.weight == 0 {
                None
            } else {
                one.group.priority(tried)
            };
        }
        let best = attached.iter().filter_map(|a| a.priority).max()?;
        if tried.is_empty() {
            let mut changed = false;
            for one in &mut *attached {
                let eligible = one.priority == Some(best);
                changed |= std::mem::replace(&mut one.was_eligible, eligible) != eligible;
            }
            if changed {
                wrr::restart(attached);
            }
        }
        let index = wrr::next(attached, |a| a.priority == Some(best))?;
        Some(&attached[index].group)
    }

    /// The group that a destination, written `host:port`, names. Host names are compared as in DNS:
    /// case-insensitively, and without a dot at the end of the host.
    pub fn group_named(&self, destination: &str) -> Option<Arc<ServerGroup>> {
        let attached = self.attached();
        let named = attached
            .iter()
            .find(|a| same_destination(a.group.name(), destination))?;
        Some(Arc::clone(&named.group))
    }

    /// Picks the server with exactly this address, whatever its health: a client that asks for an address gets that
    /// server or none. One that is the last choice gets no connection while its group has a usable one. If several
    /// groups have it, the first.
    pub fn server_at(&self, address: SocketAddr) -> Option<Lease> {
        self.attached().iter().find_map(|a| a.group.lease_at(address))
    }

    fn index(&self, attached: &[Attached], group: &str) -> Result<usize, AttachError> {
        let index = attached.iter().position(|a| a.group.name() == group);
        index.ok_or_else(|| AttachError::NotAttached {
            groups: self.name.to_string(),
            group: group.to_owned(),
        })
    }

    fn attached(&self) -> MutexGuard<'_, Vec<Attached>> {
        // A panic while the lock is held leaves no change half done.
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn same_destination(a: &str, b: &str) -> bool {
    fn parts(text: &str) -> (&str, &str) {
        let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
        (host.strip_suffix('.').unwrap_or(host), port)
    }
    let ((a_host, a_port), (b_host, b_port)) = (parts(a), parts(b));
    a_port == b_port && a_host.eq_ignore_ascii_case(b_host)
}
