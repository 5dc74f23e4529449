//! One peer and the state machine of its liveness. All transitions are in [`Peer::apply`].
//!
//! | event | from | to | what is sent |
//! |---|---|---|---|
//! | (first heard of) | - | Unverified | a check, at once or after `join_wait` |
//! | `Introduced` | Unverified, Down | same, source Direct | - |
//! | `Seen` | Unverified, Down | same, `retries` 0 | a check |
//! | `Datagram` | Alive, Suspect, Down | same, `no_datagram` false | - |
//! | `Verified` | Unverified, Down | Alive | first probe within one interval, if it gossips |
//! | `Verified` | Alive, Suspect | same, failed checks 0 | - |
//! | `Heard` | Alive, Suspect | Alive, no probe pending | the next probe when its turn comes |
//! | `ProbeDue` | Alive, no probe pending | Alive, probe pending | `search` |
//! | `ProbeDue` | Alive, probe pending | Suspect | `search` |
//! | `ProbeDue` | Suspect | Suspect, one more probe | `search`; see [`super::probe`] for checks and broadcasts |
//! | `ProbeDue` | Alive, Suspect after `probes_until_down` probes | **Down** | broadcasts that it is down |
//! | `ProbeUnsent` | Alive, Suspect | same, one probe less | - |
//! | `ProbeDue` | Down | same | `search`, at `probe_down_interval` |
//! | `Suspected` | Alive | Suspect, reported | `search`; after a report of down also a check |
//! | `CheckFailed` | Alive, Suspect | same, one more failed check | another check |
//! | `CheckFailed` | Alive, Suspect after `checks_until_down` checks | **Down** | broadcasts that it is down, if it gossips |
//! | `CheckFailed` | Unverified, Down | same, source Relayed, `retries` + 1 | another check, see [`super::join`] |
//! | `GossipSeen` | any | same, gossips | first probe within one interval, if it is up |
//! | `GossipEnded` | Alive, Suspect | Alive, no probe pending | checks replace probes |
//! | `LeaveClaimed` | any | same, claim Pending | a check at once: its instances are the last choice for `leave_timeout` |
//! | `LeaveClaimed`, claim Asked | any | same; asked again when its second is over | - |
//! | `LeaveRefuted` (answered, or no answer) | any | same, claim Asked for `leave_timeout` | - ; without an answer a probe was missed |
//! | `Removed` (it left, another took its endpoint, it expired, or room is needed) | any | Left | - |
//!
//! A claim that a peer leaves is kept beside its state ([`LeaveClaim`]); [`super::leave`] asks the peer, and removes it if
//! it confirms the claim. A peer that is Left is forgotten; a tombstone keeps relayed news from adding it again ([`super::membership`]).

use std::time::Duration;

use super::config::Config;
pub use super::leave_claim::LeaveClaim;
pub use super::peer_event::{PeerEvent, Transition};
use crate::mesh::wire::Node;

/// The source of the news of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From the node itself.
    Direct,
    /// From another node.
    Relayed,
}

/// The vital signs of a peer that is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vitals {
    /// When it last gossiped or answered.
    pub last_heard: Duration,
    /// Consecutive failed checks.
    pub failed_checks: u32,
    /// No datagram has come since it was last down.
    pub no_datagram: bool,
}

/// The state of a peer's liveness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerState {
    /// It was heard of, but has not yet answered with its list.
    Unverified {
        /// When it was first heard of.
        since: Duration,
        /// Direct if it has sent a datagram or request since the last failed check.
        source: Source,
        /// All failed checks.
        failed_checks: u32,
        /// Failed checks since its last sign of life. Each doubles the pause before the next.
        retries: u32,
        /// It was heard of soon after it was forgotten, so the news may be stale. It expires once `checks_until_down`
        /// checks have failed.
        echo: bool,
    },
    /// Up.
    Alive {
        /// Its vital signs.
        vitals: Vitals,
        /// A probe is waiting for its answer.
        probe_pending: bool,
    },
    /// Up, but it has missed probes, or others suspect it.
    Suspect {
        /// Its vital signs.
        vitals: Vitals,
        /// Probes sent since it was last heard.
        probes: u32,
        /// Another peer suspects it as well.
        reported: bool,
    },
    /// It was up, and its checks or probes failed.
    Down {
        /// When it went down.
        since: Duration,
        /// See [`PeerState::Unverified`].
        source: Source,
        /// See [`PeerState::Unverified`].
        retries: u32,
        /// See [`Vitals::no_datagram`].
        no_datagram: bool,
    },
    /// Gone for good.
    Left,
}

impl PeerState {
    fn vitals_mut(&mut self) -> Option<&mut Vitals> {
        match self {
            Self::Alive { vitals, .. } | Self::Suspect { vitals, .. } => Some(vitals),
            _ => None,
        }
    }

    /// What the checks of a peer that is not up depend on: source and failed checks.
    fn checks_mut(&mut self) -> Option<(&mut Source, &mut u32)> {
        match self {
            Self::Unverified { source, retries, .. } | Self::Down { source, retries, .. } => {
                Some((source, retries))
            }
            _ => None,
        }
    }
}

/// A known node other than this one.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its identity.
    pub node: Node,
    state: PeerState,
    gossips: bool,
    leave: LeaveClaim,
}

impl Peer {
    pub(super) fn new(node: Node, now: Duration, echo: bool) -> Self {
        let state = PeerState::Unverified {
            since: now,
            source: Source::Relayed,
            failed_checks: 0,
            retries: 0,
            echo,
        };
        Self {
            node,
            state,
            gossips: false,
            leave: LeaveClaim::None,
        }
    }

    /// Its state.
    pub fn state(&self) -> &PeerState {
        &self.state
    }

    /// What is known of a claim that it leaves.
    pub fn leave_claim(&self) -> LeaveClaim {
        self.leave
    }

    /// When the claim that it leaves came about which it is being asked.
    pub fn leave_pending(&self) -> Option<Duration> {
        match self.leave {
            LeaveClaim::Pending { since } => Some(since),
            _ => None,
        }
    }

    /// Whether it gossips: it is probed instead of checked by exchanges.
    pub fn gossips(&self) -> bool {
        self.gossips
    }

    /// Whether it counts as healthy: it is Alive or Suspect.
    pub fn is_up(&self) -> bool {
        self.vitals().is_some()
    }

    /// Whether it has not been up yet.
    pub fn is_unverified(&self) -> bool {
        matches!(self.state, PeerState::Unverified { .. })
    }

    /// Whether it was up and no longer is.
    pub fn is_down(&self) -> bool {
        matches!(self.state, PeerState::Down { .. })
    }

    /// Its vital signs, if it is up.
    pub fn vitals(&self) -> Option<&Vitals> {
        match &self.state {
            PeerState::Alive { vitals, .. } | PeerState::Suspect { vitals, .. } => Some(vitals),
            _ => None,
        }
    }

    /// Whether it is up but its last check failed.
    pub fn is_failing(&self) -> bool {
        self.vitals().is_some_and(|vitals| vitals.failed_checks > 0)
    }

    /// Whether no datagram has come since it was last down.
    pub fn no_datagram(&self) -> bool {
        match self.state {
            PeerState::Down { no_datagram, .. } => no_datagram,
            _ => self.vitals().is_some_and(|vitals| vitals.no_datagram),
        }
    }

    /// The source of the last news of it, while it is not up.
    pub fn source(&self) -> Source {
        match self.state {
            PeerState::Unverified { source, .. } | PeerState::Down { source, .. } => source,
            _ => Source::Direct,
        }
    }

    /// Failed checks since its last sign of life, while it is not up.
    pub fn retries(&self) -> u32 {
        match self.state {
            PeerState::Unverified { retries, .. } | PeerState::Down { retries, .. } => retries,
            _ => 0,
        }
    }

    /// Probes sent since it was last heard.
    pub fn unanswered(&self) -> u32 {
        match self.state {
            PeerState::Alive { probe_pending, .. } => u32::from(probe_pending),
            PeerState::Suspect { probes, .. } => probes,
            _ => 0,
        }
    }

    /// When it expires, if nothing changes.
    pub fn expires_at(&self, config: &Config) -> Option<Duration> {
        match self.state {
            PeerState::Unverified {
                since,
                failed_checks,
                echo: true,
                ..
            } if failed_checks >= config.checks_until_down => Some(since),
            PeerState::Unverified { since, .. } => Some(since + config.forget_unverified),
            PeerState::Down { since, .. } => Some(since + config.forget_down),
            _ => None,
        }
    }

    /// Rank of eviction: peers that never were up go first, then those that have been down for the longest. None
    /// while it is up.
    pub fn eviction_rank(&self) -> Option<(bool, Duration)> {
        match self.state {
            PeerState::Unverified { since, .. } => Some((false, since)),
            PeerState::Down { since, .. } => Some((true, since)),
            _ => None,
        }
    }

    /// Applies one event. A peer's state changes nowhere else.
    pub fn apply(&mut self, now: Duration, event: PeerEvent, config: &Config) -> Transition {
        let was_up = self.is_up();
        if self.state != PeerState::Left {
            self.state = self.after(now, event, config);
        }
        match event {
            PeerEvent::GossipSeen => self.gossips = true,
            PeerEvent::GossipEnded => self.gossips = false,
            PeerEvent::LeaveClaimed => self.leave = self.leave.claimed(now),
            PeerEvent::LeaveRefuted => {
                self.leave = LeaveClaim::Asked {
                    until: now + config.leave_timeout,
                    again: false,
                }
            }
            _ => {}
        }
        match (was_up, self.is_up()) {
            _ if self.state == PeerState::Left => Transition::Left,
            (false, true) => Transition::CameUp,
            (true, false) => Transition::WentDown,
            _ => Transition::None,
        }
    }

    fn after(&self, now: Duration, event: PeerEvent, config: &Config) -> PeerState {
        let alive = |vitals| PeerState::Alive {
            vitals,
            probe_pending: false,
        };
        let mut state = self.state;
        match event {
            PeerEvent::Removed => return PeerState::Left,
            PeerEvent::Introduced => {
                if let Some((source, _)) = state.checks_mut() {
                    *source = Source::Direct;
                }
            }
            PeerEvent::Seen => {
                if let Some((_, retries)) = state.checks_mut() {
                    *retries = 0;
                }
            }
            PeerEvent::Datagram => {
                if let PeerState::Down { no_datagram, .. } = &mut state {
                    *no_datagram = false;
                } else if let Some(vitals) = state.vitals_mut() {
                    vitals.no_datagram = false;
                }
            }
            PeerEvent::Verified => match state.vitals_mut() {
                Some(vitals) => vitals.failed_checks = 0,
                None => {
                    return alive(Vitals {
                        last_heard: now,
                        failed_checks: 0,
                        no_datagram: self.no_datagram(),
                    });
                }
            },
            PeerEvent::Heard => {
                if let Some(vitals) = state.vitals_mut() {
                    vitals.last_heard = now;
                    return alive(*vitals);
                }
            }
            PeerEvent::ProbeDue => {
                if self.is_up() && self.unanswered() >= config.probes_until_down {
                    return self.down(now);
                }
                match &mut state {
                    PeerState::Alive {
                        probe_pending: pending @ false,
                        ..
                    } => *pending = true,
                    PeerState::Alive { vitals, .. } => {
                        return PeerState::Suspect {
                            vitals: *vitals,
                            probes: 2,
                            reported: false,
                        };
                    }
                    PeerState::Suspect { probes, .. } => *probes += 1,
                    _ => {}
                }
            }
            PeerEvent::ProbeUnsent => match &mut state {
                PeerState::Alive { probe_pending, .. } => *probe_pending = false,
                PeerState::Suspect { probes, .. } => *probes = probes.saturating_sub(1),
                _ => {}
            },
            PeerEvent::Suspected => {
                if let Some(vitals) = state.vitals_mut() {
                    return PeerState::Suspect {
                        vitals: *vitals,
                        probes: self.unanswered(),
                        reported: true,
                    };
                }
            }
            PeerEvent::CheckFailed => {
                if let PeerState::Unverified { failed_checks, .. } = &mut state {
                    *failed_checks = failed_checks.saturating_add(1);
                }
                if let Some((source, retries)) = state.checks_mut() {
                    *source = Source::Relayed;
                    *retries = retries.saturating_add(1);
                } else if let Some(vitals) = state.vitals_mut() {
                    vitals.failed_checks = vitals.failed_checks.saturating_add(1);
                    if vitals.failed_checks >= config.checks_until_down {
                        return self.down(now);
                    }
                }
            }
            PeerEvent::GossipSeen | PeerEvent::LeaveClaimed | PeerEvent::LeaveRefuted => {}
            PeerEvent::GossipEnded => {
                if let Some(vitals) = state.vitals_mut() {
                    return alive(*vitals);
                }
            }
        }
        state
    }

    fn down(&self, now: Duration) -> PeerState {
        PeerState::Down {
            since: now,
            source: Source::Relayed,
            // Probes look for a peer that gossips. A peer of another kind has already failed at least one check.
            retries: u32::from(!self.gossips),
            no_datagram: true,
        }
    }
}

#[cfg(test)]
#[path = "peer_tests.rs"]
mod tests;
