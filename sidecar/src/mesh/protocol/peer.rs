//! One peer and the state machine of its liveness. Every transition stands in [`Peer::apply`].
//!
//! | event | from | to | what is sent |
//! |---|---|---|---|
//! | (first heard of) | - | Unverified | `khala.local`, at once or after `join_wait` |
//! | `Introduced` | Unverified, Down | same, source Direct | - |
//! | `Seen` | Unverified, Down | same, backoff 0 | `khala.local` |
//! | `Datagram` | Alive, Suspect, Down | same, no longer silent | - |
//! | `Verified` | Unverified, Down | Alive | first probe within one interval, if it gossips |
//! | `Verified` | Alive, Suspect | same, failed checks 0 | - |
//! | `Heard` | Alive, Suspect | Alive, no probe pending | the next probe when its turn comes |
//! | `ProbeDue` | Alive, no probe pending | Alive, probe pending | `search` |
//! | `ProbeDue` | Alive, probe pending | Suspect | `search` |
//! | `ProbeDue` | Suspect | Suspect, one probe more | `search`; see [`super::probe`] for checks and broadcasts |
//! | `ProbeDue` | Alive, Suspect after `probes_until_down` probes | **Down** | broadcasts that it is down |
//! | `ProbeDue` | Down | same | `search`, at `probe_down_interval` |
//! | `Suspected` | Alive | Suspect, reported | `search`; with a report of down also a check |
//! | `CheckFailed` | Alive, Suspect | same, one failed check more | another check |
//! | `CheckFailed` | Alive, Suspect after `checks_until_down` checks | **Down** | broadcasts that it is down, if it gossips |
//! | `CheckFailed` | Unverified, Down | same, source Relayed, backoff + 1 | another check, see [`super::join`] |
//! | `GossipSeen` | any | same, gossips | first probe within one interval, if it is up |
//! | `GossipEnded` | Alive, Suspect | Alive, no probe pending | checks replace probes |
//! | `Removed` (it left, another took its endpoint, it expired, or room is needed) | any | Left | - |
//!
//! A peer that is Left is forgotten; a tombstone keeps relayed news from bringing it back ([`super::membership`]).

use std::time::Duration;

use super::config::Config;
use crate::mesh::wire::Node;

/// Where news of a node comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From the node itself.
    Direct,
    /// From another node.
    Relayed,
}

/// What is known of a peer that is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vitals {
    /// When it last showed that it lives: by gossip, or by an answer.
    pub last_heard: Duration,
    /// Consecutive failed checks.
    pub failed_checks: u32,
    /// No datagram has come since it was last down.
    pub silent: bool,
}

/// All that is known of a peer's liveness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerState {
    /// Heard of, but it has not yet answered with its list.
    Unverified {
        /// When it was first heard of.
        since: Duration,
        /// Direct if it has written itself since the last failed check.
        source: Source,
        /// Failed checks in all.
        failed_checks: u32,
        /// Failed checks since it last showed that it lives. Each doubles the pause before the next.
        backoff: u32,
        /// It was heard of soon after it was forgotten: perhaps only an echo, so that it expires with its checks.
        echo: bool,
    },
    /// Up.
    Alive {
        /// What is known of it.
        vitals: Vitals,
        /// A probe waits for its answer.
        probe_pending: bool,
    },
    /// Up, but it has missed probes, or others suspect it.
    Suspect {
        /// What is known of it.
        vitals: Vitals,
        /// Probes sent since it was last heard, none of them answered.
        probes: u32,
        /// Another peer suspects it, too.
        reported: bool,
    },
    /// It was up, and its checks or probes failed.
    Down {
        /// When it went down.
        since: Duration,
        /// As of a peer that is unverified.
        source: Source,
        /// As of a peer that is unverified.
        backoff: u32,
        /// No datagram has come since.
        silent: bool,
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

    /// What the checks of a peer that is not up depend on: source and backoff.
    fn checks_mut(&mut self) -> Option<(&mut Source, &mut u32)> {
        match self {
            Self::Unverified { source, backoff, .. } | Self::Down { source, backoff, .. } => {
                Some((source, backoff))
            }
            _ => None,
        }
    }
}

/// What happens to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerEvent {
    /// It has written itself, which anybody could in its name.
    Introduced,
    /// It has shown that it lives, so that a check is worth its while.
    Seen,
    /// A datagram has come from it.
    Datagram,
    /// It has answered an exchange as the node that it was taken for.
    Verified,
    /// It has gossiped or answered.
    Heard,
    /// The next probe is due, which means that the one before was not answered.
    ProbeDue,
    /// Another peer suspects it or has it down.
    Suspected,
    /// An exchange with it has failed.
    CheckFailed,
    /// It has shown that it gossips.
    GossipSeen,
    /// It has answered without the header that says so: another program runs there now.
    GossipEnded,
    /// It left, another node took its endpoint, it expired, or its room is needed.
    Removed,
}

/// What an event has changed for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// It is up or not as it was.
    None,
    /// It has come up.
    CameUp,
    /// It has gone down.
    WentDown,
    /// It is to be forgotten.
    Left,
}

/// A known node other than this one.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Who it is.
    pub node: Node,
    state: PeerState,
    gossips: bool,
}

impl Peer {
    pub(super) fn new(node: Node, now: Duration, echo: bool) -> Self {
        let state = PeerState::Unverified {
            since: now,
            source: Source::Relayed,
            failed_checks: 0,
            backoff: 0,
            echo,
        };
        let gossips = false;
        Self { node, state, gossips }
    }

    /// Its state.
    pub fn state(&self) -> &PeerState {
        &self.state
    }

    /// Whether it is of our own kind: it is probed by gossip instead of checked by exchanges.
    pub fn gossips(&self) -> bool {
        self.gossips
    }

    /// Whether it counts as healthy: it is Alive or Suspect.
    pub fn is_up(&self) -> bool {
        self.vitals().is_some()
    }

    /// Whether it was up and is not.
    pub fn is_down(&self) -> bool {
        matches!(self.state, PeerState::Down { .. })
    }

    /// What is known of it if it is up.
    pub fn vitals(&self) -> Option<&Vitals> {
        match &self.state {
            PeerState::Alive { vitals, .. } | PeerState::Suspect { vitals, .. } => Some(vitals),
            _ => None,
        }
    }

    /// Whether its last check failed though it is up.
    pub fn is_failing(&self) -> bool {
        self.vitals().is_some_and(|vitals| vitals.failed_checks > 0)
    }

    /// Whether no datagram has come since it was last down.
    pub fn is_silent(&self) -> bool {
        match self.state {
            PeerState::Down { silent, .. } => silent,
            _ => self.vitals().is_some_and(|vitals| vitals.silent),
        }
    }

    /// Where news of it came from last, while it is not up.
    pub fn source(&self) -> Source {
        match self.state {
            PeerState::Unverified { source, .. } | PeerState::Down { source, .. } => source,
            _ => Source::Direct,
        }
    }

    /// Failed checks since it last showed that it lives, while it is not up.
    pub fn backoff(&self) -> u32 {
        match self.state {
            PeerState::Unverified { backoff, .. } | PeerState::Down { backoff, .. } => backoff,
            _ => 0,
        }
    }

    /// Probes that it has not answered since it was last heard.
    pub fn unanswered(&self) -> u32 {
        match self.state {
            PeerState::Alive { probe_pending, .. } => u32::from(probe_pending),
            PeerState::Suspect { probes, .. } => probes,
            _ => 0,
        }
    }

    /// When it is to be forgotten, if nothing changes.
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

    /// Rank in which peers make room for others: those that never were up first, then those down for the longest.
    /// None while it is up.
    pub fn eviction_rank(&self) -> Option<(bool, Duration)> {
        match self.state {
            PeerState::Unverified { since, .. } => Some((false, since)),
            PeerState::Down { since, .. } => Some((true, since)),
            _ => None,
        }
    }

    /// Takes in one event. This is the only place where a peer's state changes.
    pub fn apply(&mut self, now: Duration, event: PeerEvent, config: &Config) -> Transition {
        let was_up = self.is_up();
        if self.state != PeerState::Left {
            self.state = self.after(now, event, config);
        }
        match event {
            PeerEvent::GossipSeen => self.gossips = true,
            PeerEvent::GossipEnded => self.gossips = false,
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
                if let Some((_, backoff)) = state.checks_mut() {
                    *backoff = 0;
                }
            }
            PeerEvent::Datagram => {
                if let PeerState::Down { silent, .. } = &mut state {
                    *silent = false;
                } else if let Some(vitals) = state.vitals_mut() {
                    vitals.silent = false;
                }
            }
            PeerEvent::Verified => match state.vitals_mut() {
                Some(vitals) => vitals.failed_checks = 0,
                None => {
                    return alive(Vitals {
                        last_heard: now,
                        failed_checks: 0,
                        silent: self.is_silent(),
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
                if let Some((source, backoff)) = state.checks_mut() {
                    *source = Source::Relayed;
                    *backoff = backoff.saturating_add(1);
                } else if let Some(vitals) = state.vitals_mut() {
                    vitals.failed_checks = vitals.failed_checks.saturating_add(1);
                    if vitals.failed_checks >= config.checks_until_down {
                        return self.down(now);
                    }
                }
            }
            PeerEvent::GossipSeen => {}
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
            // Probes look for a peer that gossips. The checks of another have failed at least once.
            backoff: u32::from(!self.gossips),
            silent: true,
        }
    }
}

#[cfg(test)]
#[path = "peer_tests.rs"]
mod tests;
