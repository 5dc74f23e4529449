//! Registration of a service at its sidecar: the client of the sidecar's `smart-node-delegate` resource.

mod error;
mod sidecar;
mod token;

use std::fmt;

use serde::Serialize;

pub use self::error::Error;
pub use self::sidecar::{DEREGISTRATION_TIMEOUT, Sidecar};
pub use self::token::{Token, TokenError};
use crate::name::Name;

/// A registration, in the sidecar's JSON form.
#[derive(Debug, Clone, Serialize)]
pub struct Registration {
    name: String,
    service: String,
    zone: String,
    nic: String,
    #[serde(rename = "exposedPort", skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// The instance's weight in load balancing; `None` for the sidecar's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}

impl Registration {
    /// Registers service `name` of the example as `my-service-NAME` in `zone`, on the address of interface `nic`.
    pub fn new(name: &Name, zone: &Name, nic: &str, weight: Option<u32>) -> Self {
        let service = format!("my-service-{name}");
        Registration {
            name: format!("{service}_{zone}"),
            service,
            zone: zone.to_string(),
            nic: nic.to_owned(),
            port: None,
            weight,
        }
    }
}

impl fmt::Display for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// When other nodes were told to no longer connect to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawn {
    /// With its deregistration, or that is unknown.
    Now,
    /// Before: the sidecar withdraws its program's instances before it signals the program.
    Before,
}

/// A registration that the sidecar holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    /// The port that the sidecar allocated.
    pub port: u16,
    /// Whether this program created it, as opposed to finding an existing one.
    pub fresh: bool,
}
