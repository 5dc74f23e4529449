//! What is to be asked of and told to one other node, and when. One exchange at a time.

use std::sync::Arc;
use std::time::Duration;

/// Why to make an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// To see whether the node is there: its list where it is not up, its hash where it is.
    Check,
    /// To have its list, and tell ours.
    Pull,
    /// To tell what changed in our list.
    Push,
    /// To have the nodes that it knows, and tell ours.
    Nodes,
    /// To find out what differs.
    Sync,
}

/// An exchange under way.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) id: u64,
    pub(super) task: Task,
    pub(super) began: Duration,
    /// Whether its end tells how long answers take: who is asked may well be there.
    pub(super) telling: bool,
    /// The revision of our list that the node has once it answers, where the exchange tells it.
    pub(super) tells: Option<u64>,
    /// [`Contact::news`] at the start: where that moved, the answer may be older than what came since.
    pub(super) news: u64,
}

/// A ping that waits for its turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub(super) since: Duration,
    /// From one turn to the next, as the mesh was then.
    pub(super) length: Duration,
}

/// Dealings with one other node.
#[derive(Debug)]
pub(super) struct Contact {
    pub(super) exchange: Option<Exchange>,
    pub(super) check_at: Duration,
    pub(super) pull_at: Option<Duration>,
    pub(super) nodes_at: Option<Duration>,
    pub(super) sync_at: Option<Duration>,
    /// Not before then is it told of changes.
    pub(super) push_at: Duration,
    /// It has said itself that it is there, and was not asked in vain since.
    pub(super) spoke: bool,
    /// Failed checks since it was last up, for the growing pauses between them.
    pub(super) attempts: u32,
    /// The revision of our list that it has acknowledged.
    pub(super) told: u64,
    /// How many messages about its list have come from it.
    pub(super) news: u64,
    /// How many checks in a row found its hash to differ.
    pub(super) mismatches: u32,
    /// When its list was last asked for, for pacing.
    pub(super) pulled: Option<Duration>,
    /// When differences were last looked into, for pacing.
    pub(super) synced: Option<Duration>,
    /// The pause before differences are looked into again.
    pub(super) repair_pause: Duration,
    /// The hash in its last datagram.
    pub(super) heard_hash: Option<Arc<str>>,
    /// It is of our own kind, see [`super::gossip`].
    pub(super) gossips: bool,
    /// The answer that comes next says so.
    pub(super) said_so: bool,
    /// Pings in a row that it has not answered.
    pub(super) misses: u32,
    /// Somebody else misses it, too.
    pub(super) doubted: bool,
    /// It went down, and no datagram has come since.
    pub(super) silent: bool,
    /// When its gossip or its list last came.
    pub(super) heard: Duration,
    /// The turn that its next ping waits for; none where that waits for something else.
    pub(super) turn: Option<Turn>,
}

impl Contact {
    pub(super) fn new(now: Duration, repair_pause: Duration) -> Self {
        Self {
            exchange: None,
            check_at: now,
            pull_at: None,
            nodes_at: None,
            sync_at: None,
            push_at: now,
            spoke: false,
            attempts: 0,
            told: 0,
            news: 0,
            mismatches: 0,
            pulled: None,
            synced: None,
            repair_pause,
            heard_hash: None,
            gossips: false,
            said_so: false,
            misses: 0,
            doubted: false,
            silent: false,
            heard: now,
            turn: None,
        }
    }

    /// The next thing to do and when. `up`: the node is up; `shaky`: its last check failed;
    /// `behind`: our list has changed since the node was told.
    pub(super) fn next(&self, up: bool, shaky: bool, behind: bool) -> (Duration, Task) {
        let push_at = behind.then_some(self.push_at);
        // What is due first goes first; of what is due at once, the most urgent.
        let candidates = if up && !shaky {
            [
                (push_at, Task::Push),
                (self.pull_at, Task::Pull),
                (Some(self.check_at), Task::Check),
                (self.sync_at, Task::Sync),
                (self.nodes_at, Task::Nodes),
            ]
        } else {
            let nobody = (None, Task::Nodes);
            [
                (Some(self.check_at), Task::Check),
                (self.nodes_at, Task::Nodes),
                nobody,
                nobody,
                nobody,
            ]
        };
        let planned = candidates.into_iter().filter_map(|(at, task)| Some((at?, task)));
        planned
            .min_by_key(|(at, _)| *at)
            .unwrap_or((self.check_at, Task::Check))
    }

    /// The first of the tasks that are due.
    pub(super) fn due(&self, now: Duration, up: bool, shaky: bool, behind: bool) -> Result<Task, Duration> {
        let (at, task) = self.next(up, shaky, behind);
        if at > now { Err(at) } else { Ok(task) }
    }

    /// Whether the first question is left to the other.
    pub(super) fn waits_to_be_asked(&self, now: Duration) -> bool {
        self.pulled.is_none() && self.attempts == 0 && self.check_at > now
    }

    /// Has its list asked for, but not sooner than a pause after the last time.
    pub(super) fn want_pull(&mut self, now: Duration, pause: Duration) {
        let at = self.pulled.map_or(now, |pulled| now.max(pulled + pause));
        self.pull_at = Some(self.pull_at.map_or(at, |planned| planned.min(at)));
    }

    /// Has differences looked into, but not sooner than a pause after the last time.
    pub(super) fn want_sync(&mut self, now: Duration) {
        let at = self
            .synced
            .map_or(now, |synced| now.max(synced + self.repair_pause));
        self.sync_at.get_or_insert(at);
    }

    /// Differences have been looked into: the longer they last, the more rarely.
    pub(super) fn repaired(&mut self, now: Duration, longest: Duration) {
        self.synced = Some(now);
        self.repair_pause = (self.repair_pause * 2).min(longest);
    }

    /// Starts anew with a node that came up.
    pub(super) fn came_up(&mut self, check_at: Duration) {
        (self.check_at, self.attempts, self.mismatches) = (check_at, 0, 0);
    }

    /// Starts anew with a node that went down.
    pub(super) fn gone_down(&mut self) {
        self.silent = true;
        self.spoke = false;
        self.misses = 0;
        self.turn = None;
        self.doubted = false;
        self.pulled = None;
        self.pull_at = None;
        self.sync_at = None;
        self.nodes_at = None;
        self.mismatches = 0;
        self.attempts = 0;
    }
}
