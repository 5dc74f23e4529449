//! Events in a peer's life, and their effects. [`super::peer`] has the table of what follows which.

/// An event in a peer's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerEvent {
    /// It has sent a datagram or request itself, which anybody can forge.
    Introduced,
    /// It has shown a sign of life, so that a check is worth its cost.
    Seen,
    /// A datagram has come from it.
    Datagram,
    /// It has answered an exchange, as the node that it was taken for.
    Verified,
    /// It has gossiped or answered.
    Heard,
    /// A probe is due. If one is pending, it was missed.
    ProbeDue,
    /// The probe of the last `ProbeDue` could not be sent, for a fault of ours.
    ProbeUnsent,
    /// Another peer reports it as suspected or down.
    Suspected,
    /// An exchange with it has failed.
    CheckFailed,
    /// It has shown that it gossips.
    GossipSeen,
    /// It has answered without the header that announces gossip: a different program runs there now.
    GossipEnded,
    /// A `leave` in its name has come, which anybody can forge.
    LeaveClaimed,
    /// The question whether it leaves has ended, and it has not left.
    LeaveRefuted,
    /// It left, another node took its endpoint, it expired, or its room is needed.
    Removed,
}

/// The effect of an event on the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// It neither came up nor went down.
    None,
    /// It has come up.
    CameUp,
    /// It has gone down.
    WentDown,
    /// It must be forgotten.
    Left,
}
