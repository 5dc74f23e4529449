//! Intervals, pauses and limits that follow from the tunables.

use std::time::Duration;

use super::Config;
use crate::rtt::RttTuning;

impl Config {
    /// The numbers of all RTT estimates.
    pub(crate) fn rtt(&self) -> RttTuning {
        RttTuning {
            weight: self.rtt_weight,
            factor: self.rtt_factor,
            max_timeout: self.rtt_max_timeout,
        }
    }

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

    /// Interval between two probes of one peer that is down, for a node with this many peers that are not up:
    /// `probe_down_share * not_up`, at least `join_max_pause`.
    pub fn probe_down_interval(&self, not_up: usize) -> Duration {
        let share = self.probe_down_share * u32::try_from(not_up).unwrap_or(u32::MAX);
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

    /// Pause after this number of visits of a first sweep: `search_burst_pause` within a group, and the rest of
    /// `search_far_interval` after its last.
    pub fn search_far_pause(&self, visits: u32) -> Duration {
        let group = self.search_far_group.max(1);
        if !visits.is_multiple_of(group) {
            return self.search_burst_pause;
        }
        let took = self.search_burst_pause.saturating_mul(group - 1);
        self.search_far_interval.saturating_sub(took)
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
