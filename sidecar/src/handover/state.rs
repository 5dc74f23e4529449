//! The state that one process of the sidecar hands to the next. Pure.

use serde::{Deserialize, Serialize};

use crate::control::ControlState;
use crate::mesh::Knowledge;

/// Limit of an encoded state, in bytes; a mesh's lists have the largest part of it.
pub const MAX_STATE: usize = 64 << 20;

/// The version of the format. A state of another version is refused: the successor is not ready then, and its
/// predecessor goes on.
const VERSION: u32 = 1;

/// Why a state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is of another version.
    #[error(
        "the running sidecar's state has version {found}, and this program expects {VERSION}: stop the sidecar and start \
         it again"
    )]
    Version {
        /// The version found.
        found: u32,
    },
    /// It is longer than [`MAX_STATE`].
    #[error("the state has {0} bytes, more than {MAX_STATE}")]
    TooLarge(u64),
    /// It is not a state.
    #[error("the running sidecar's state cannot be read")]
    Malformed(#[from] serde_json::Error),
}

/// What a process hands to its successor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    version: u32,
    /// The control plane's part.
    pub control: ControlState,
    /// What the node knows of the mesh, if it is in one.
    pub mesh: Option<Knowledge>,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl State {
    /// A state of this version.
    #[must_use]
    pub fn new(control: ControlState, mesh: Option<Knowledge>) -> Self {
        Self {
            version: VERSION,
            control,
            mesh,
        }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// When they exceed the limit.
    pub fn encode(&self) -> Result<Vec<u8>, StateError> {
        let bytes = serde_json::to_vec(self)?;
        match bytes.len() {
            0..=MAX_STATE => Ok(bytes),
            length => Err(StateError::TooLarge(length as u64)),
        }
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// When they are no state, or one of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let Version { version: found } = serde_json::from_slice(bytes)?;
        match found {
            VERSION => Ok(serde_json::from_slice(bytes)?),
            _ => Err(StateError::Version { found }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::control::ServerHealth;

    prop_compose! {
        fn health()(group in ".{1,9}", server in ".{1,9}", address in any::<(std::net::IpAddr, u16)>(), up in any::<bool>())
            -> ServerHealth {
            ServerHealth { group, server, address: address.into(), up }
        }
    }

    proptest! {
        #[test]
        fn a_state_is_read_as_it_was_written(
            commands in prop::collection::vec(".{0,40}", 0..20),
            announced in prop::collection::btree_set(".{1,9}", 0..5),
            servers in prop::collection::vec(health(), 0..9),
        ) {
            let state = State::new(ControlState { commands, announced, servers }, None);
            prop_assert_eq!(State::decode(&state.encode().unwrap()).unwrap(), state);
        }

        #[test]
        fn other_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(State::decode(&bytes).is_err());
        }

        #[test]
        fn a_truncated_state_is_refused(end in 0usize..1000) {
            let state = State::new(ControlState::default(), None).encode().unwrap();
            let end = end % state.len();
            prop_assert!(State::decode(&state[..end]).is_err());
        }
    }

    #[test]
    fn another_version_is_refused_even_if_the_rest_differs() {
        let error = State::decode(br#"{"version": 2, "all": "else"}"#).unwrap_err();
        assert!(matches!(error, StateError::Version { found: 2 }), "{error}");
    }
}
