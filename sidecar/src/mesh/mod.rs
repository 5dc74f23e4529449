//! Discovery between sidecars: the nodes of the mesh and the services that they offer.
//!
//! [`wire`] encodes datagrams and bodies; [`protocol`] and [`directory`] are the pure state machine; [`agent`] runs it
//! with sockets and a clock; [`settings`] is what users set.

pub mod agent;
mod connection;
pub mod counters;
pub mod directory;
mod driver;
mod endpoint;
mod exchange_client;
mod exchange_server;
mod exchanges;
pub mod key;
mod large_bodies;
mod left_out;
pub mod settings;

pub mod protocol;
mod publishing;

pub mod view;
pub mod wire;

pub use agent::{Earlier, Mesh, Reachability};
pub use counters::{Counters, Outcome};
pub use driver::Handed;
pub use endpoint::StartError;
pub use protocol::Knowledge;
pub use settings::DiscoverySettings;
pub use view::{Health, InstanceView, LastChoiceView, NodeHealth, NodeView, View};
pub use wire::{DatagramKind, ExchangeKind};
