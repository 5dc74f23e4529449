//! The kinds of faults.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Maximum of [`Fault::Slow`]'s delay, in milliseconds.
pub const MAX_SLOW_MS: u64 = 10_000;
/// Duration of a graceful stop in milliseconds: a sidecar withdraws its instances two seconds before it signals its
/// program.
pub const STOP_MS: u64 = 3_000;

/// A fault, in the format of the schedule file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// The member is stopped gracefully; healed by starting it again.
    Stop {
        /// The member's name.
        member: String,
    },
    /// All processes of the member are killed; healed by starting it again.
    Kill {
        /// The member's name.
        member: String,
    },
    /// All processes of the member are frozen.
    Pause {
        /// The member's name.
        member: String,
    },
    /// All packets between the member and every other member are lost.
    CutNode {
        /// The member's name.
        member: String,
    },
    /// All packets between two members are lost.
    CutPair {
        /// One member.
        a: String,
        /// The other member.
        b: String,
    },
    /// All packets from one member to another are lost; the other direction works.
    CutOneWay {
        /// The sender.
        from: String,
        /// The receiver.
        to: String,
    },
    /// A percentage of the packets that the member sends and receives is lost.
    Lose {
        /// The member's name.
        member: String,
        /// Lost packets in percent, 1 to 100.
        percent: u8,
    },
    /// The member is frozen and unfrozen alternately, which delays all of its work.
    Slow {
        /// The member's name.
        member: String,
        /// Duration of each freeze in milliseconds: the maximum delay.
        ms: u64,
    },
    /// The member is stopped gracefully and started again at once.
    Restart {
        /// The member's name.
        member: String,
    },
}

/// The kind of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// [`Fault::Stop`].
    Stop,
    /// [`Fault::Kill`].
    Kill,
    /// [`Fault::Pause`].
    Pause,
    /// [`Fault::CutNode`].
    CutNode,
    /// [`Fault::CutPair`].
    CutPair,
    /// [`Fault::CutOneWay`].
    CutOneWay,
    /// [`Fault::Lose`].
    Lose,
    /// [`Fault::Slow`].
    Slow,
    /// [`Fault::Restart`].
    Restart,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Stop,
        Self::Kill,
        Self::Pause,
        Self::CutNode,
        Self::CutPair,
        Self::CutOneWay,
        Self::Lose,
        Self::Slow,
        Self::Restart,
    ];

    /// Whether the fault affects the network between members rather than a member's processes.
    pub fn needs_network(self) -> bool {
        matches!(self, Self::CutNode | Self::CutPair | Self::CutOneWay | Self::Lose)
    }
}

impl fmt::Display for FaultKind {
    /// The name in the schedule file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::CutNode => "cut-node",
            Self::CutPair => "cut-pair",
            Self::CutOneWay => "cut-one-way",
            Self::Lose => "lose",
            Self::Slow => "slow",
            Self::Restart => "restart",
        })
    }
}

impl Fault {
    /// The kind of this fault.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Stop { .. } => FaultKind::Stop,
            Self::Kill { .. } => FaultKind::Kill,
            Self::Pause { .. } => FaultKind::Pause,
            Self::CutNode { .. } => FaultKind::CutNode,
            Self::CutPair { .. } => FaultKind::CutPair,
            Self::CutOneWay { .. } => FaultKind::CutOneWay,
            Self::Lose { .. } => FaultKind::Lose,
            Self::Slow { .. } => FaultKind::Slow,
            Self::Restart { .. } => FaultKind::Restart,
        }
    }

    /// The affected members.
    pub fn members(&self) -> Vec<&str> {
        match self {
            Self::Stop { member }
            | Self::Kill { member }
            | Self::Pause { member }
            | Self::CutNode { member }
            | Self::Lose { member, .. }
            | Self::Slow { member, .. }
            | Self::Restart { member } => vec![member],
            Self::CutPair { a, b } => vec![a, b],
            Self::CutOneWay { from, to } => vec![from, to],
        }
    }

    /// The member that does not answer while the fault is active, if any.
    pub fn silences(&self) -> Option<&str> {
        match self {
            Self::Stop { member }
            | Self::Kill { member }
            | Self::Pause { member }
            | Self::CutNode { member }
            | Self::Restart { member } => Some(member),
            _ => None,
        }
    }

    /// Duration of the injection in milliseconds. A restart is healed when its injection ends.
    pub fn takes_ms(&self) -> u64 {
        match self.kind() {
            FaultKind::Stop | FaultKind::Restart => STOP_MS,
            _ => 0,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop { member } => write!(f, "stop {member}"),
            Self::Kill { member } => write!(f, "kill {member}"),
            Self::Pause { member } => write!(f, "pause {member}"),
            Self::CutNode { member } => write!(f, "cut {member} off from all"),
            Self::CutPair { a, b } => write!(f, "cut {a} and {b} off from each other"),
            Self::CutOneWay { from, to } => write!(f, "lose all that {from} sends to {to}"),
            Self::Lose { member, percent } => write!(f, "lose {percent} % of {member}'s packets"),
            Self::Slow { member, ms } => write!(f, "slow {member} down by up to {ms} ms"),
            Self::Restart { member } => write!(f, "restart {member}"),
        }
    }
}
