//! Which exchange to make with a node, and when.

use std::net::SocketAddr;
use std::time::Duration;

use super::contact::{Exchange, Task};
use super::slots::Purpose;
use super::{Action, Protocol, Timer};
use crate::mesh::directory::Change;
use crate::mesh::wire::Request;

impl Protocol {
    /// Does what is due with a node, or waits for it to be due.
    pub(super) fn pursue(&mut self, now: Duration, endpoint: SocketAddr) {
        let may_ask_nodes = self.may_ask_nodes(now);
        let (Some(contact), Some(member)) = (self.contacts.get_mut(&endpoint), self.membership.get(endpoint))
        else {
            return;
        };
        if contact.exchange.is_some() {
            return;
        }
        if contact.nodes_at.is_some_and(|at| at <= now)
            && (!may_ask_nodes || contact.heard_hash == Some(self.membership.hash()))
        {
            // Meanwhile we have asked another, or come to know the same nodes.
            contact.nodes_at = None;
        }
        let stranger = !member.up;
        let behind = contact.told != self.directory.revision();
        let task = match contact.due(now, member.up, member.failures > 0, behind) {
            Ok(task) => task,
            Err(at) => return self.timers.set(Timer::Contact(endpoint), at),
        };
        let purpose = if stranger && contact.spoke {
            Purpose::Meeting
        } else if stranger {
            Purpose::Hearsay
        } else if contact.gossips && task != Task::Check {
            Purpose::Talk
        } else {
            Purpose::Check
        };
        if self.slots.take(endpoint, purpose) {
            self.start(now, endpoint, task, purpose);
        } else {
            // Pursued again when a slot is free.
            self.timers.cancel(Timer::Contact(endpoint));
        }
    }

    fn start(&mut self, now: Duration, to: SocketAddr, task: Task, purpose: Purpose) {
        let Some(contact) = self.contacts.get_mut(&to) else {
            return self.slots.release(to);
        };
        let stranger = matches!(purpose, Purpose::Meeting | Purpose::Hearsay);
        let revision = self.directory.revision();
        let local = || Request::Local(self.directory.local());
        let (request, tells) = match task {
            Task::Check if stranger || contact.gossips => (local(), Some(revision)),
            Task::Check => (Request::Hash(self.directory.hash()), None),
            Task::Pull => (local(), Some(revision)),
            Task::Push => match self.directory.change_after(contact.told) {
                Some(Change::Add(change)) => (Request::Add(change.clone()), Some(contact.told + 1)),
                Some(Change::Remove(change)) => (Request::Remove(change.clone()), Some(contact.told + 1)),
                None => (local(), Some(revision)),
            },
            Task::Nodes => (Request::Nodes(self.membership.states()), None),
            Task::Sync => match self.directory.everything() {
                Some(lists) => (Request::Sync(lists), None),
                // Too much to tell: each node that differs is asked for its own list instead.
                None => {
                    contact.repaired(now, self.timing.repair_longest);
                    (local(), Some(revision))
                }
            },
        };
        match task {
            Task::Check | Task::Push => {}
            Task::Pull => contact.pull_at = None,
            Task::Nodes => contact.nodes_at = None,
            Task::Sync => contact.sync_at = None,
        }
        if matches!(request, Request::Local(_)) {
            contact.pulled = Some(now);
        }
        let timeout = match task {
            Task::Check if stranger => self.timing.join_timeout,
            Task::Check | Task::Pull | Task::Push => self.timing.check_timeout,
            Task::Nodes | Task::Sync => self.timing.exchange_timeout,
        };
        // A neighbour's checks are to find out soon that it is gone, and are all that tells of one that does
        // not gossip.
        let telling = purpose != Purpose::Check;
        let timeout = if telling && !contact.silent {
            self.patience.at_least(timeout)
        } else {
            timeout
        };
        self.next_id += 1;
        let id = self.next_id;
        contact.exchange = Some(Exchange {
            id,
            task,
            began: now,
            telling,
            tells,
            news: contact.news,
        });
        self.exchanges.insert(id, to);
        if task == Task::Nodes {
            self.asks_nodes(now);
        }
        self.timers.cancel(Timer::Contact(to));
        self.actions.push(Action::Exchange {
            id,
            to,
            request,
            timeout,
        });
    }
}
