//! What can be broken on purpose.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest delay of a slowed node, in milliseconds.
pub const MAX_SLOW_MS: u64 = 10_000;
/// Milliseconds that a graceful stop takes: a stopped service serves on for two seconds.
pub const STOP_MS: u64 = 3_000;

/// One thing that is broken on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// Stopped gracefully; healed when it is started again.
    Stop {
        /// Which member.
        member: String,
    },
    /// All its processes are killed; healed when it is started again.
    Kill {
        /// Which member.
        member: String,
    },
    /// All its processes stand still.
    Pause {
        /// Which member.
        member: String,
    },
    /// It and every other member do not hear each other.
    CutNode {
        /// Which member.
        member: String,
    },
    /// Two members do not hear each other.
    CutPair {
        /// The one.
        a: String,
        /// The other.
        b: String,
    },
    /// What one member sends to another is lost; not what comes back.
    CutOneWay {
        /// Who is not heard.
        from: String,
        /// Who does not hear.
        to: String,
    },
    /// A share of what it sends and receives is lost.
    Lose {
        /// Which member.
        member: String,
        /// Of a hundred packets.
        percent: u8,
    },
    /// It stands still and goes on by turns, so that all that it does comes late.
    Slow {
        /// Which member.
        member: String,
        /// By how much at most, in milliseconds.
        ms: u64,
    },
    /// Stopped gracefully and started again at once.
    Restart {
        /// Which member.
        member: String,
    },
}

/// The kind of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
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

impl Kind {
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

    /// Whether it is done to the network between nodes and not to a node's processes.
    pub fn needs_network(self) -> bool {
        matches!(self, Self::CutNode | Self::CutPair | Self::CutOneWay | Self::Lose)
    }
}

impl fmt::Display for Kind {
    /// As the file calls it.
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
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Stop { .. } => Kind::Stop,
            Self::Kill { .. } => Kind::Kill,
            Self::Pause { .. } => Kind::Pause,
            Self::CutNode { .. } => Kind::CutNode,
            Self::CutPair { .. } => Kind::CutPair,
            Self::CutOneWay { .. } => Kind::CutOneWay,
            Self::Lose { .. } => Kind::Lose,
            Self::Slow { .. } => Kind::Slow,
            Self::Restart { .. } => Kind::Restart,
        }
    }

    /// The members that it is done to.
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

    /// The member that answers nobody while it is on.
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

    /// Milliseconds that it takes until it is on; a restart is healed then.
    pub fn takes_ms(&self) -> u64 {
        match self.kind() {
            Kind::Stop | Kind::Restart => STOP_MS,
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
