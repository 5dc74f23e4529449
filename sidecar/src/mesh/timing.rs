//! How quickly a node looks, checks and repairs.

use std::time::Duration;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Times and counts that are local to a node; its neighbours may use others.
#[derive(Debug, Clone)]
pub struct Timing {
    /// How many of the nearest addresses are searched round after round, at once until two rounds are over and a
    /// neighbour is up, and one after the other from then on. Till then more on loopback, which resolves no addresses. 32.
    pub search_near: usize,
    /// Datagrams sent at once in such a round. 32.
    pub search_burst: usize,
    /// Pause between two bursts, and the shortest between two steps of a round. 5 ms.
    pub search_pause: Duration,
    /// From one of the other addresses to the next; a /24 is swept in 11 s. An address that does not
    /// answer holds an entry of the kernel's neighbour table (1024 in all, for every container of the
    /// machine together) for 3 s: at this pace a node holds about 60, and the near ones. 50 ms.
    pub search_far_pause: Duration,
    /// Pause after the first near round; doubles from round to round while alone. 250 ms.
    pub search_first: Duration,
    /// The longest pause between two rounds, and the one between two sweeps, while alone. 10 s.
    pub search_alone: Duration,
    /// From one of the other addresses to the next, in sweeps after the first, while a neighbour is up; in a large mesh
    /// so much longer that all nodes together visit as many. 1 s.
    pub search_settled_pause: Duration,
    /// How long a round of the nearest addresses takes, one after the other, while a neighbour is up; in a large mesh
    /// longer, because those that are near each other visit them in turn. And the pause between two sweeps. 60 s.
    pub search_settled: Duration,
    /// How long a check, or telling a change, may take. 500 ms.
    pub check_timeout: Duration,
    /// How long the first exchange with a node may take: on a slow way lost data is sent again within it. 600 ms.
    pub join_timeout: Duration,
    /// How long an exchange of everything known may take. 2 s.
    pub exchange_timeout: Duration,
    /// From one check of a node that is up to the next. 400 ms.
    pub check_period: Duration,
    /// Nodes of our own kind ping each other instead: each of so many neighbours in turn that one has this
    /// much of the time, if that is longer than `check_period`. A pair needs one ping a turn. 150 ms.
    pub ping_share: Duration,
    /// So much shorter is a turn: a ping and its answer take some of it where the way is long, and in a small mesh
    /// there is room for more of them. 120 ms.
    pub ping_sooner: Duration,
    /// From a ping that was not answered to the next. 370 ms.
    pub ping_patience: Duration,
    /// The same from then on, and how much later than the first of a pair the second pings. 100 ms.
    pub ping_retry: Duration,
    /// Unanswered pings in a row that take a node down. 6.
    pub pings_until_down: u32,
    /// Somebody else's doubts do not count while a node was heard within this time. 3 s.
    pub doubt_after: Duration,
    /// The share of time of each node that was up and is down, which is pinged now and then. 500 ms.
    pub ping_lost: Duration,
    /// Within which all of those are pinged once one of them is there again. 500 ms.
    pub ping_hurry: Duration,
    /// In a large mesh, the shortest time between two exchanges of all nodes, for each node that is known: so
    /// they cost the same however many that are. Doubles while they do not help. 1 ms.
    pub nodes_share: Duration,
    /// The longest time between two of those, and between two repairs that gossip asks for. 64 s.
    pub gossip_longest: Duration,
    /// From a check that the kernel refused to the next. 30 ms.
    pub check_after_refusal: Duration,
    /// While no more neighbours than this are up, one connection is kept open to each. 32.
    pub kept_connections: usize,
    /// Failed checks in a row that take a node down. 3.
    pub failures_until_down: u32,
    /// From the first check of a new node to the second; doubles from check to check. 20 ms.
    pub join_first: Duration,
    /// The longest pause between checks of a node that is not up. 1 s.
    pub join_longest: Duration,
    /// From hearing that a neighbour knows other nodes to asking for them: most such differences
    /// are gone by then. 30 ms.
    pub nodes_delay: Duration,
    /// The shortest time between two repairs with one node; doubles while they do not help. 1 s.
    pub repair_pause: Duration,
    /// The longest time between two repairs with one node. 8 s.
    pub repair_longest: Duration,
    /// Pause before a change is told again to a node that did not take it. 100 ms.
    pub push_retry: Duration,
    /// When a node that never was up is forgotten. 30 s.
    pub forget_unseen: Duration,
    /// When a node that was up and is down is forgotten. 5 min.
    pub forget_down: Duration,
    /// How long others are not believed that a node which left is there. 30 s.
    pub tombstone: Duration,
    /// `inform` answers per second; others are not given. 256.
    pub informs_per_second: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            search_near: 32,
            search_burst: 32,
            search_pause: ms(5),
            search_far_pause: ms(50),
            search_first: ms(250),
            search_alone: ms(10_000),
            search_settled_pause: ms(1_000),
            search_settled: ms(60_000),
            check_timeout: ms(500),
            join_timeout: ms(600),
            exchange_timeout: ms(2_000),
            check_period: ms(400),
            ping_share: ms(150),
            ping_sooner: ms(120),
            ping_patience: ms(370),
            ping_retry: ms(100),
            pings_until_down: 6,
            doubt_after: ms(3_000),
            ping_lost: ms(500),
            ping_hurry: ms(500),
            nodes_share: ms(1),
            gossip_longest: ms(64_000),
            check_after_refusal: ms(30),
            kept_connections: 32,
            failures_until_down: 3,
            join_first: ms(20),
            join_longest: ms(1_000),
            nodes_delay: ms(30),
            repair_pause: ms(1_000),
            repair_longest: ms(8_000),
            push_retry: ms(100),
            forget_unseen: ms(30_000),
            forget_down: ms(300_000),
            tombstone: ms(30_000),
            informs_per_second: 256,
        }
    }
}
