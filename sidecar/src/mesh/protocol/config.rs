//! Every tunable of the protocol, with its unit, its reason and what moving it does.
//!
//! All are local to a node: peers may use other values. [`crate::mesh::settings`] is what users set.
//!
//! # How fast a dead peer is noticed
//!
//! At most this time after the death, by each node that has the peer as up, with no packet lost; in parentheses the
//! defaults of a node with at most three peers, without round trips. *Interval* is [`Config::probe_interval`] with its
//! jitter, [`Config::probe_jitter_of`].
//!
//! | the peer | noticed after |
//! |---|---|
//! | gossips; its machine is gone, or it is frozen | interval + `probe_timeout` + (`probes_until_down` - 1) * `probe_retry` (0.41 + 0.37 + 5 * 0.1 = 1.28 s) |
//! | the same, noticed by the node with the higher endpoint of the pair | one `probe_retry` more (1.38 s) |
//! | gossips; its process is gone, its kernel refuses; at most `small_mesh` peers, to which connections are kept | (`checks_until_down` - 1) * `check_after_refusal` (60 ms) |
//! | the same in a larger mesh | interval + `probe_timeout` + (`probes_until_check` - 2) * `probe_retry` + (`checks_until_down` - 1) * `check_after_refusal` |
//! | does not gossip, and is frozen | `check_interval` * (1 + `jitter`) + (2^`checks_until_down` - 1) * `check_timeout` (0.44 + 3.5 = 3.94 s) |
//! | does not gossip, and its kernel refuses | `check_interval` * (1 + `jitter`) + (`checks_until_down` - 1) * `check_after_refusal` (0.5 s) |
//!
//! All of these times grow with what is measured: a peer's first probe and its checks wait for three times as long as its
//! answers usually take, a check after one that timed out twice as long as that one, and all of them longer by three times
//! the delay of this node's own timers ([`crate::local_health`]).
//!
//! In a large mesh the interval is seconds, and broadcasts shorten it: the first node that notices reports a suspicion
//! with probe `probes_until_broadcast`, later that the peer is down. A node that hears of it, and has not heard the peer
//! for `suspicion_silence` or, if it is down, `probe_timeout`, has it as down after `probes_until_down` * `probe_retry`
//! (0.6 s).

mod derived;

use std::time::Duration;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Times, counts and limits of the protocol.
#[derive(Debug, Clone)]
pub struct Config {
    // General
    /// Relative jitter of pauses, a ratio: each pause is drawn from `1 - jitter` to `1 + jitter` times its length, so
    /// that nodes do not act in step. Higher separates nodes that started together sooner; at 0 they act in step for
    /// ever.
    pub jitter: f64,
    /// Number of peers up to which a mesh is small. A small mesh keeps a connection to each peer and asks for lists
    /// freely; above, each node bounds its own traffic, and nodes share searches ([`Self::search_share`]). Higher
    /// detects crashes sooner and costs sockets.
    pub small_mesh: usize,
    /// Limit of peers at one address, so that one machine cannot invent many. Lower refuses machines that run many
    /// nodes; higher lets one machine take more of the room for nodes.
    pub max_peers_per_address: usize,

    // Search
    /// Number of addresses nearest to our own that are searched in every round. Higher finds more peers in the first
    /// round, and holds more entries of the kernel's neighbour table (see `search_far_group`).
    pub search_near: usize,
    /// The same on loopback, which resolves no addresses, until the node is settled. Higher finds peers at more distant
    /// addresses at once and makes these rounds longer.
    pub search_near_loopback: usize,
    /// Number of addresses at the beginning of the network that are searched as well in the second and later rounds of a
    /// node without peers: container networks number from there. Higher finds more peers from far away, and holds more
    /// entries of that table.
    pub search_first: u64,
    /// Number of rounds over the near addresses before a node counts as settled: the datagrams of the first may be
    /// lost. Lower leaves peers that lost one to slower rounds; higher keeps every node searching in bursts for longer.
    pub search_min_rounds: u32,
    /// Number of datagrams sent in one burst of such a round, and limit for one address with several ports. Higher
    /// finds peers sooner and risks losing datagrams to full buffers.
    pub search_burst: usize,
    /// Pause between two bursts, and lower bound of the pause between two steps of a settled round. Shorter ends a
    /// round sooner and risks losing datagrams to full buffers.
    pub search_burst_pause: Duration,
    /// Pause after the first near round; it doubles from round to round while the node is alone. Also the pause before
    /// a node whose last peer is gone searches again. Shorter finds peers that start a little later sooner, and costs
    /// datagrams.
    pub search_first_pause: Duration,
    /// Upper bound of that pause, and the pause between two sweeps, while the node is alone. Longer costs fewer
    /// datagrams and finds the first peer later.
    pub search_alone_pause: Duration,
    /// Duration of a near round of a settled node, and the pause between two sweeps. The round is longer in a large
    /// mesh, whose nodes search for each other. Longer costs fewer datagrams; parts of a mesh that have forgotten each
    /// other (`forget_down`) take longer to meet.
    pub search_settled_round: Duration,
    /// Number of the other addresses that the first sweep visits together, `search_burst_pause` apart. An address that
    /// does not answer holds an entry of the kernel's neighbour table (1024, shared by all containers of a machine) for
    /// 3 s. Higher finds distant peers sooner and holds more entries.
    pub search_far_group: u32,
    /// Interval between the beginnings of two groups; a /24 takes 9.2 s. At 3 s a node holds the entries of one group.
    /// Shorter finds distant peers sooner and holds those of more groups.
    pub search_far_interval: Duration,
    /// Pause between two of the other addresses in later sweeps while a peer is up; longer in a large mesh, whose nodes
    /// share the work. Shorter finds distant nodes that no other node knows sooner, and costs datagrams for good.
    pub search_far_settled_pause: Duration,
    /// Number of `inform` answers per second to all senders that are not up or do not gossip together; bounds what
    /// forged searches can make a node send. Lower makes nodes that start at the same time wait for their next search;
    /// higher lets forged searches cost more.
    pub informs_per_second: u32,

    // Join: exchanges with peers that are not up
    /// Timeout for the first exchange with a peer, extended by the RTT estimate. A lost TCP segment is retransmitted
    /// within it. Shorter frees a slot sooner that waits for a node that is gone, and gives up slow nodes that then do
    /// the work for nothing.
    pub join_timeout: Duration,
    /// Pause after the first failed check of a peer that is not up; it doubles from check to check. Shorter joins nodes
    /// that are just starting sooner, and costs refused connections.
    pub join_first_pause: Duration,
    /// Upper bound of that pause. Also the lower bound of the interval between two probes of one peer that is down, and
    /// between two recoveries (`probe_recovery`). Higher finds slow starters and peers that are back later, and costs
    /// less for nodes that stay away.
    pub join_max_pause: Duration,
    /// Pause before an original that does not record us is sent another `search`. Lower makes up for a lost one sooner, and
    /// costs datagrams until it records us, 5 to 10 s.
    pub introduce_pause: Duration,
    /// Time that one node of a pair waits for the other, which initiates, to ask first, in a large mesh; extended by
    /// the RTT estimate. It saves every second exchange. Shorter makes both ask if answers are slow; longer delays a
    /// join if the first request is lost.
    pub join_wait: Duration,
    /// Number of failed checks of a gossiping peer that was up, after which only probes look for it. Higher finds peers
    /// whose datagrams are lost for longer, and costs exchanges with nodes that are gone.
    pub join_max_checks: u32,

    // Checks by exchanges, of peers that are up
    /// Interval between two checks of a peer that does not gossip, and lower bound of the interval between two probes
    /// of one peer that does. Lower detects sooner and costs exchanges, in a small mesh also datagrams.
    pub check_interval: Duration,
    /// Interval between two checks of a peer that gossips. Effectively never: probes replace exchange checks. A peer
    /// whose checks fail is left to probes by it as well. Lower adds one exchange with each peer per interval.
    pub check_interval_probed: Duration,
    /// Timeout for a check of a peer that is up, for a list, or for announcing a change; for the last two, with a peer
    /// that gossips, extended by the RTT estimate, and with one that does not, by that of its own checks. Lower detects
    /// sooner and counts more slow answers as failures.
    pub check_timeout: Duration,
    /// Pause before a refused check is repeated. Lower detects a process that ended sooner; higher forgives a process
    /// that restarts quickly.
    pub check_after_refusal: Duration,
    /// Number of consecutive failed checks that take a peer down. A check of a gossiping peer that times out is not one
    /// of them: it leads to a probe. Also the number of failed checks after which a peer that was forgotten just before
    /// is forgotten again. Lower detects sooner. It then takes peers down that are restarting, and those that do not
    /// gossip also for late or lost answers.
    pub checks_until_down: u32,

    // Probes of peers that gossip
    /// Time that each peer adds to the interval between two probes of one peer, so that a node's probes per second are
    /// bounded however large the mesh is. Lower detects sooner and costs datagrams.
    pub probe_share: Duration,
    /// Constant that is subtracted from the sum of those times. It makes up for the round trip, and shortens the
    /// interval of a small mesh, which has datagrams to spare. Higher detects sooner and costs datagrams.
    pub probe_lead: Duration,
    /// Wait for the answer to the first probe before the second is sent. Also the silence of a peer after which a
    /// report that it is down makes a node probe it. Lower detects sooner; below the usual round trip, each probe costs
    /// two datagrams.
    pub probe_timeout: Duration,
    /// Pause between the following probes. Also how long the node with the higher endpoint of a pair waits for a late
    /// probe of the other, and the pause of `broadcast_batch`. Lower detects sooner, and leaves a slow peer less time
    /// to answer one of its probes.
    pub probe_retry: Duration,
    /// Relative jitter of the interval between two probes, a ratio: nodes that started together drift apart. Higher
    /// spreads probes sooner and detects later, since the node with the higher endpoint of a pair waits for it.
    pub probe_jitter: f64,
    /// Upper bound of that jitter: the node with the higher endpoint waits for the latest moment of the other. Higher
    /// detects later in a large mesh; lower spreads its probes more slowly.
    pub probe_max_jitter: Duration,
    /// Ratio of the current interval to the one when a probe was scheduled, above which the probe is postponed in
    /// proportion. Without it, the nodes of a mesh that starts would all be probed at the pace of a small mesh. Higher
    /// allows more of that; at 1 each node that joins postpones probes again.
    pub probe_stretch: f64,
    /// Number of consecutive unanswered probes that take a peer down, when the next one would be due. Lower detects
    /// sooner and mistakes loss for death.
    pub probes_until_down: u32,
    /// Number of the consecutive unanswered probe that is accompanied by a check by an exchange, which a live kernel
    /// may refuse at once. Lower detects a process that ended sooner, and costs an exchange for each lost datagram if
    /// round trips are long.
    pub probes_until_check: u32,
    /// Time that each peer that is down adds to the interval between two probes of one of them, so that all together
    /// get a bounded number of probes per second. Lower finds peers that are back sooner and costs datagrams.
    pub probe_down_share: Duration,
    /// Period in which all peers that are down are probed once one of them is back: a partition may have healed.
    /// Shorter heals sooner and sends these probes in a denser burst.
    pub probe_recovery: Duration,

    // Suspicion
    /// Number of the consecutive unanswered probe with which a suspicion is broadcast; the peer is suspect from its
    /// second. Lower warns other nodes sooner and also broadcasts mere packet loss.
    pub probes_until_broadcast: u32,
    /// That number for a peer that others suspect: their suspicion is relayed. Lower spreads a suspicion further before
    /// its subject can answer; at 1, every node would probe a peer that is alive.
    pub probes_until_relay: u32,
    /// Silence of a peer after which a reported suspicion makes a node probe it. Shorter detects sooner in a large
    /// mesh, whose nodes have heard a peer only seconds ago, and costs probes by many nodes if the suspicion is false.
    pub suspicion_silence: Duration,

    // Broadcasts of suspicions
    /// Constant part of a broadcast's number of transmissions. Higher reaches all nodes of a small mesh with more
    /// certainty, and costs bytes.
    pub retransmit_base: u32,
    /// Number of transmissions added for each doubling of the mesh. Higher reaches all nodes with more certainty, and
    /// costs bytes.
    pub retransmit_mult: u32,
    /// Number of picks of nodes that a new broadcast is sent to at once, without waiting for their probes. Picks may
    /// repeat, and this node or one whose probe is unanswered is skipped, so fewer may get it. Higher spreads news
    /// sooner and costs datagrams.
    pub broadcast_fanout: usize,
    /// Number of queued broadcasts above which new ones are sent at once only every `probe_retry`: a datagram carries
    /// several. Higher costs datagrams when many peers go down together; lower delays news of them.
    pub broadcast_batch: usize,
    /// Limit of queued broadcasts. Others are dropped: other nodes notice by themselves. Higher costs memory, lower
    /// detects later when many peers go down together.
    pub max_broadcasts: usize,

    // Anti-entropy
    /// Delay before a peer that knows other nodes is asked for its node list: most differences are gone by then. Longer
    /// saves lists, and knows new nodes later.
    pub nodes_delay: Duration,
    /// Time that each known node adds to the shortest pause between two node lists in a large mesh, so that their cost
    /// does not depend on the number of nodes. Lower knows all nodes sooner and costs bytes and CPU time.
    pub nodes_share: Duration,
    /// Upper bound of that pause, and of the pause between two repairs that gossip asks for. Longer costs less while
    /// repairs do not help, and leaves the next real difference for longer.
    pub anti_entropy_max_pause: Duration,
    /// Number of consecutive mismatches that rule out an update in flight; of consecutive matches that rule out
    /// coincidence. Lower repairs sooner, and exchanges lists for differences that would have gone by themselves.
    pub anti_entropy_streak: u32,
    /// Limit of doublings of the shortest pause between two node lists, while answers are late. Higher spares a busy
    /// machine more, and knows all nodes of a large mesh later on it.
    pub anti_entropy_max_doublings: u32,
    /// Upper bound of the pause between two node lists while peers are still joining, as a multiple of the shortest.
    /// Higher saves lists that only say what joins will find out, and learns of nodes later.
    pub anti_entropy_join_factor: u32,
    /// Number of consecutive mismatches of `khala.hash` before `khala.sync`: one may be an update in flight. Higher
    /// repairs later, by one `check_interval` each; at 1 each update in flight costs an exchange of all lists.
    pub hash_mismatches: u32,
    /// Shortest pause between two repairs with one peer, or that gossip asks for; it doubles while they do not help.
    /// Also the shortest pause between two requests for one peer's list. Shorter repairs sooner and costs exchanges
    /// while a difference lasts.
    pub repair_pause: Duration,
    /// Upper bound of the pause between two repairs with one peer. Longer costs less while a difference lasts, and
    /// repairs a later one later.
    pub repair_max_pause: Duration,

    // Exchanges
    /// Timeout for an exchange of all nodes or of all service lists, extended by the RTT estimate. Shorter gives up
    /// large lists on a busy machine; longer holds a slot for longer if the peer is gone.
    pub exchange_timeout: Duration,
    /// Pause before a change is announced again to a peer that did not take it, and before a check is repeated that had
    /// a bad answer. Shorter announces sooner and adds to the load of a peer that is late.
    pub push_retry: Duration,
    /// Pause before an exchange that could not be made, for a fault of this machine, is tried again. Lower resumes sooner
    /// and costs a machine that lacks something more attempts.
    pub own_fault_pause: Duration,
    /// Limit of exchanges under way at once. Higher costs sockets and memory; lower makes checks wait in a mesh of many
    /// peers that do not gossip.
    pub max_exchanges: usize,
    /// Limit of those that are not checks: a slow peer holds its slot for seconds. The difference to `max_exchanges` is
    /// reserved for checks; at 0, slow peers delay the detection of dead ones.
    pub max_exchanges_beside_checks: usize,
    /// Limit of those with peers that are not up, so that invented nodes do not delay checks. Higher joins a large mesh
    /// sooner if no machine is busy.
    pub max_joins: usize,
    /// Initial concurrency of exchanges with peers that are not up; the adaptive limit moves from there. Higher starts
    /// sooner on idle machines, and overloads one that starts many nodes at once.
    pub initial_joins: usize,
    /// Lower bound of an adaptive limit. Higher keeps a busy machine busy; lower takes longer to grow again.
    pub min_concurrency: usize,
    /// Weight of the past in the RTT estimate: a new sample moves it by 1 / this of the difference. Higher follows a
    /// machine that becomes busy, or idle again, more slowly; lower follows single late answers.
    pub rtt_weight: u32,
    /// Multiple of the RTT estimate after which an answer is considered lost. Lower repeats requests whose answers are
    /// only late; higher notices lost ones later.
    pub rtt_factor: u32,
    /// Upper bound of timeouts that follow from the RTT estimate. Longer lets a very busy machine answer; shorter frees
    /// slots sooner.
    pub rtt_max_timeout: Duration,

    // Attempts at nodes that have never answered, which others may have made up
    /// Limit of exchanges in `attempts_window` with nodes at one address, of which none has ever answered. Lower spares
    /// third parties; a node that was named before it was ready then waits for longer until it is asked.
    pub attempts: usize,
    /// Limit of their bytes. Higher lets a node with many services introduce itself by its first request.
    pub attempt_bytes: usize,
    /// The time for which these attempts are counted.
    pub attempts_window: Duration,
    /// Time after a peer is back in which any node gets the last of them. Lower leaves more nodes unasked for a minute.
    pub attempts_recovery: Duration,
    /// Multiple of both limits for an address at which a node has answered, or has spoken over TCP. Higher finds more nodes
    /// that share an address sooner, and lets others scan its ports through us.
    pub attempts_known_factor: usize,
    /// Pause between two checks of a peer that is not up, if datagrams are the reason. Lower finds some sooner.
    pub hint_pause: Duration,

    // Leaving
    /// Time in which a peer has to answer whether a `leave` in its name is its own; until then its instances are the last
    /// choice. Also the pause before it is asked again. Lower costs questions while somebody forges leaves, and mistakes
    /// slow peers for suspects; higher leaves instances out for longer if a slow peer is said to leave.
    pub leave_timeout: Duration,

    // Forgetting
    /// Time after which a peer that never was up is forgotten. Longer keeps checking nodes that may be invented;
    /// shorter forgets nodes that start slowly, until they are heard of again.
    pub forget_unverified: Duration,
    /// Time after which a peer that is down is forgotten. Longer reunites the sides of a longer partition at once, and
    /// probes nodes that are gone for longer; afterwards only search finds them.
    pub forget_down: Duration,
    /// Time for which relayed news of a forgotten node is ignored: it may be an echo. Lower lets dead nodes reappear;
    /// higher delays nodes that others know to be back.
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
            search_first: 8,
            search_min_rounds: 2,
            search_burst: 32,
            search_burst_pause: ms(5),
            search_first_pause: ms(250),
            search_alone_pause: ms(10_000),
            search_settled_round: ms(60_000),
            search_far_group: 60,
            search_far_interval: ms(3_000),
            search_far_settled_pause: ms(1_000),
            informs_per_second: 256,

            join_timeout: ms(600),
            join_first_pause: ms(20),
            join_max_pause: ms(1_000),
            introduce_pause: ms(2_000),
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
            own_fault_pause: ms(500),
            max_exchanges: 128,
            max_exchanges_beside_checks: 96,
            max_joins: 64,
            initial_joins: 8,
            min_concurrency: 4,
            rtt_weight: 8,
            rtt_factor: 3,
            rtt_max_timeout: ms(4_000),

            attempts: 3,
            attempt_bytes: 4_096,
            attempts_window: ms(60_000),
            attempts_recovery: ms(10_000),
            attempts_known_factor: 10,
            hint_pause: ms(1_000),

            leave_timeout: ms(1_000),

            forget_unverified: ms(30_000),
            forget_down: ms(300_000),
            tombstone: ms(30_000),
        }
    }
}
