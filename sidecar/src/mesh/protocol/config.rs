//! Every tunable of the protocol, with its unit, its reason and what moving it does.
//!
//! All are local to a node: peers may use other values. [`crate::mesh::settings`] is what users set.

use std::time::Duration;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Times, counts and limits of the protocol.
#[derive(Debug, Clone)]
pub struct Config {
    // General
    /// Relative jitter of pauses: each is drawn from `1 - jitter` to `1 + jitter` times its length, so that nodes do
    /// not act in step.
    pub jitter: f64,
    /// Number of peers up to which a mesh is small. A small mesh keeps a connection to each peer and asks for lists freely;
    /// above, each node bounds its own traffic. Higher detects crashes sooner and costs sockets.
    pub small_mesh: usize,
    /// Limit of peers at one address, so that one machine cannot invent many. Lower refuses machines that run many
    /// nodes.
    pub max_peers_per_address: usize,

    // Search
    /// Addresses nearest to our own that are searched in every round.
    pub search_near: usize,
    /// Addresses nearest to our own that are searched in every round on loopback, which resolves no addresses, until
    /// the node is settled.
    pub search_near_loopback: usize,
    /// Rounds over the near addresses before a node counts as settled: the datagrams of the first may be lost.
    pub search_min_rounds: u32,
    /// Datagrams sent in one burst of such a round. Higher finds peers sooner and risks losing datagrams to full
    /// buffers.
    pub search_burst: usize,
    /// Pause between two bursts; lower bound of the pause between two steps of a settled round.
    pub search_burst_pause: Duration,
    /// Pause after the first near round; it doubles from round to round while the node is alone.
    pub search_first_pause: Duration,
    /// Upper bound of that pause, and the pause between two sweeps, while the node is alone.
    pub search_alone_pause: Duration,
    /// Duration of a near round of a settled node, and the pause between two sweeps. Longer in a large mesh, whose
    /// nodes search for each other.
    pub search_settled_round: Duration,
    /// Pause between two of the other addresses in the first sweep; a /24 takes 11 s. An address that does not answer
    /// holds an entry of the kernel's neighbour table (1024, shared by all containers of a machine) for 3 s: at this
    /// pace a node holds about 60 of them.
    pub search_far_pause: Duration,
    /// Pause between two of the other addresses in later sweeps while a peer is up; longer in a large mesh, whose
    /// nodes share the work.
    pub search_far_settled_pause: Duration,
    /// `inform` answers per second, to all senders together; bounds what forged searches can make a node send.
    pub informs_per_second: u32,

    // Join: exchanges with peers that are not up
    /// Timeout for the first exchange with a peer. A lost TCP segment is retransmitted within it.
    pub join_timeout: Duration,
    /// Pause after the first failed check of a peer that is not up; it doubles from check to check.
    pub join_first_pause: Duration,
    /// Upper bound of that pause. Higher finds slow starters later.
    pub join_max_pause: Duration,
    /// Time that the second of a pair waits for the first to ask, in a large mesh. It saves every second exchange.
    pub join_wait: Duration,
    /// Failed checks of a gossiping peer that was up, after which only probes look for it.
    pub join_max_checks: u32,

    // Checks by exchanges, of peers that are up
    /// Interval between two checks of a peer that does not gossip.
    pub check_interval: Duration,
    /// Interval between two checks of a peer that gossips. Effectively never: probes replace exchange checks.
    pub check_interval_probed: Duration,
    /// Timeout for a check, for a list, or for announcing a change.
    pub check_timeout: Duration,
    /// Pause before a refused check is repeated.
    pub check_after_refusal: Duration,
    /// Consecutive failed checks that take a peer down. Lower detects sooner and mistakes loss for death.
    pub checks_until_down: u32,

    // Probes of peers that gossip
    /// Time that each peer adds to the interval between two probes of one peer, so that a node's probes per second
    /// are bounded however large the mesh is. Lower detects sooner and costs datagrams.
    pub probe_share: Duration,
    /// Constant that is subtracted from the sum of those times. It makes up for the round trip, and shortens the
    /// interval of a small mesh, which has datagrams to spare. Higher detects sooner and costs datagrams.
    pub probe_lead: Duration,
    /// Wait for the answer to the first probe before the second is sent. Below the usual round trip, each probe
    /// costs two datagrams.
    pub probe_timeout: Duration,
    /// Pause between the following probes, and the delay of the second of a pair after the first.
    pub probe_retry: Duration,
    /// Relative jitter of the interval: nodes that started together drift apart.
    pub probe_jitter: f64,
    /// Upper bound of that jitter: the second of a pair waits for the latest moment of the first.
    pub probe_max_jitter: Duration,
    /// Ratio of the current interval to the one when a probe was scheduled, above which the probe is postponed in
    /// proportion. Without it, the nodes of a mesh that starts would all be probed at the pace of a small mesh.
    pub probe_stretch: f64,
    /// Consecutive unanswered probes that take a peer down, when the next one would be due. Lower detects sooner and
    /// mistakes loss for death.
    pub probes_until_down: u32,
    /// Probes sent to a peer since it was last heard, the current one included, with which it is also checked by an
    /// exchange, which a kernel may refuse at once. Lower costs an exchange for each lost datagram if round trips are
    /// long.
    pub probes_until_check: u32,
    /// Time that each peer that is down adds to the interval between two probes of one of them.
    pub probe_down_share: Duration,
    /// Period in which all peers that are down are probed once one of them is back: a partition may have healed.
    pub probe_recovery: Duration,

    // Suspicion
    /// Probes sent to a peer since it was last heard, the current one included, with which a suspicion is broadcast.
    /// Lower also broadcasts mere packet loss.
    pub probes_until_broadcast: u32,
    /// That number of probes for a peer that others suspect. At 1, every node would probe a peer that is alive.
    pub probes_until_relay: u32,
    /// Silence of a peer after which a reported suspicion makes a node probe it.
    pub suspicion_silence: Duration,

    // Broadcasts of suspicions
    /// Constant part of a broadcast's transmissions.
    pub retransmit_base: u32,
    /// Transmissions added for each doubling of the mesh. Higher reaches all nodes with more certainty.
    pub retransmit_mult: u32,
    /// Peers that a new broadcast is sent to at once, without waiting for their probes.
    pub broadcast_fanout: usize,
    /// Queued broadcasts above which new ones are sent at once only every `probe_retry`: a datagram carries several.
    pub broadcast_batch: usize,
    /// Limit of queued broadcasts. Others are dropped: other nodes notice by themselves.
    pub max_broadcasts: usize,

    // Anti-entropy
    /// Delay before a peer that knows other nodes is asked for its node list: most differences are gone by then.
    pub nodes_delay: Duration,
    /// Time that each known node adds to the shortest pause between two node lists in a large mesh, so that their
    /// cost does not depend on the number of nodes.
    pub nodes_share: Duration,
    /// Upper bound of that pause, and of the pause between two repairs that gossip asks for.
    pub anti_entropy_max_pause: Duration,
    /// Consecutive mismatches that rule out an update in flight; consecutive matches that rule out coincidence.
    pub anti_entropy_streak: u32,
    /// Doublings of that pause at most, while answers are late.
    pub anti_entropy_max_doublings: u32,
    /// Upper bound of pauses while peers are still joining, as a multiple of the shortest.
    pub anti_entropy_join_factor: u32,
    /// Consecutive mismatches of `khala.hash` before `khala.sync`: one may be an update in flight.
    pub hash_mismatches: u32,
    /// Shortest pause between two repairs with one peer; it doubles while they do not help.
    pub repair_pause: Duration,
    /// Upper bound of that pause.
    pub repair_max_pause: Duration,

    // Exchanges
    /// Timeout for an exchange of everything known.
    pub exchange_timeout: Duration,
    /// Pause before a change is announced again to a peer that did not take it.
    pub push_retry: Duration,
    /// Exchanges under way at once.
    pub max_exchanges: usize,
    /// Limit of those that are not checks: a slow peer holds its place for seconds.
    pub max_exchanges_beside_checks: usize,
    /// Limit of those with peers that are not up, so that invented nodes do not delay checks.
    pub max_joins: usize,
    /// Initial concurrency of exchanges with peers that are not up; the adaptive limit moves from there.
    pub initial_joins: usize,
    /// Lower bound of an adaptive limit.
    pub min_concurrency: usize,
    /// Weight of the past in the RTT estimate: a new sample moves it by 1 / this of the difference.
    pub rtt_weight: u32,
    /// Multiple of the RTT estimate after which an answer is considered lost.
    pub rtt_factor: u32,
    /// Upper bound of timeouts that follow from the RTT estimate.
    pub rtt_max_timeout: Duration,

    // Forgetting
    /// Time after which a peer that never was up is forgotten.
    pub forget_unverified: Duration,
    /// Time after which a peer that is down is forgotten.
    pub forget_down: Duration,
    /// Time for which relayed news of a forgotten node is ignored: it may be an echo. Lower lets dead nodes reappear.
    pub tombstone: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            jitter: 0.1,
            small_mesh: 32,
            max_peers_per_address: 64,

            search_near: 32,
            search_near_loopback: 256,
            search_min_rounds: 2,
            search_burst: 32,
            search_burst_pause: ms(5),
            search_first_pause: ms(250),
            search_alone_pause: ms(10_000),
            search_settled_round: ms(60_000),
            search_far_pause: ms(50),
            search_far_settled_pause: ms(1_000),
            informs_per_second: 256,

            join_timeout: ms(600),
            join_first_pause: ms(20),
            join_max_pause: ms(1_000),
            join_wait: ms(400),
            join_max_checks: 5,

            check_interval: ms(400),
            check_interval_probed: Duration::from_secs(24 * 3600),
            check_timeout: ms(500),
            check_after_refusal: ms(30),
            checks_until_down: 3,

            probe_share: ms(150),
            probe_lead: ms(120),
            probe_timeout: ms(370),
            probe_retry: ms(100),
            probe_jitter: 0.03,
            probe_max_jitter: ms(500),
            probe_stretch: 1.1,
            probes_until_down: 6,
            probes_until_check: 4,
            probe_down_share: ms(500),
            probe_recovery: ms(500),

            probes_until_broadcast: 5,
            probes_until_relay: 3,
            suspicion_silence: ms(3_000),

            retransmit_base: 4,
            retransmit_mult: 3,
            broadcast_fanout: 5,
            broadcast_batch: 8,
            max_broadcasts: 1024,

            nodes_delay: ms(30),
            nodes_share: ms(1),
            anti_entropy_max_pause: ms(64_000),
            anti_entropy_streak: 3,
            anti_entropy_max_doublings: 5,
            anti_entropy_join_factor: 8,
            hash_mismatches: 2,
            repair_pause: ms(1_000),
            repair_max_pause: ms(8_000),

            exchange_timeout: ms(2_000),
            push_retry: ms(100),
            max_exchanges: 128,
            max_exchanges_beside_checks: 96,
            max_joins: 64,
            initial_joins: 8,
            min_concurrency: 4,
            rtt_weight: 8,
            rtt_factor: 3,
            rtt_max_timeout: ms(4_000),

            forget_unverified: ms(30_000),
            forget_down: ms(300_000),
            tombstone: ms(30_000),
        }
    }
}

impl Config {
    /// Interval between two probes of one peer, for a node with this many peers that are up:
    /// `probe_share * peers - probe_lead`, at least `check_interval`.
    pub fn probe_interval(&self, peers: usize) -> Duration {
        let turn = self.probe_share * u32::try_from(peers).unwrap_or(u32::MAX);
        self.check_interval.max(turn.saturating_sub(self.probe_lead))
    }

    /// Upper bound of the jitter of the interval between two probes.
    pub fn probe_jitter_of(&self, interval: Duration) -> Duration {
        interval.mul_f64(self.probe_jitter).min(self.probe_max_jitter)
    }

    /// Interval between two probes of one peer that is down, for a node with this many of them:
    /// `probe_down_share * down`, at least `join_max_pause`.
    pub fn probe_down_interval(&self, down: usize) -> Duration {
        let share = self.probe_down_share * u32::try_from(down).unwrap_or(u32::MAX);
        share.max(self.join_max_pause)
    }

    /// Transmissions of one broadcast in a mesh of this many nodes:
    /// `retransmit_base + retransmit_mult * log2(nodes)`, enough to reach all nodes, as in any epidemic protocol.
    pub fn retransmit_limit(&self, nodes: usize) -> u32 {
        self.retransmit_base + self.retransmit_mult * nodes.max(1).ilog2()
    }

    /// Pause after a failed check of a peer that is not up, `doublings` others before it:
    /// `join_first_pause * 2^doublings`, at most `join_max_pause`.
    pub fn join_pause(&self, doublings: u32) -> Duration {
        (self.join_first_pause * (1 << doublings.min(16))).min(self.join_max_pause)
    }

    /// Pause after a near round of a node that is alone: `search_first_pause * 2^(rounds - 1)`, at most
    /// `search_alone_pause`.
    pub fn search_pause(&self, rounds: u32) -> Duration {
        let doublings = rounds.saturating_sub(1).min(16);
        (self.search_first_pause * (1 << doublings)).min(self.search_alone_pause)
    }

    /// Factor by which a settled node of a mesh of this many nodes extends its search pauses, so that all nodes
    /// together search as much as those of a small mesh.
    pub fn search_share(&self, nodes: usize) -> u32 {
        let share = nodes / self.small_mesh.max(1);
        u32::try_from(share).unwrap_or(u32::MAX).max(1)
    }

    /// Interval between two checks of a peer by an exchange.
    pub fn check_interval_of(&self, gossips: bool) -> Duration {
        if gossips {
            self.check_interval_probed
        } else {
            self.check_interval
        }
    }
}
