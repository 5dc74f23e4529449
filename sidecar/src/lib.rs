//! The sidecar: a proxy that runs beside a service, discovers the other sidecars of its network, and balances
//! connections over the service instances that they offer.

pub mod activation;
pub mod app;
pub mod balance;
pub mod cli;
pub mod control;
pub mod diagnostic;
mod dial;
pub mod dns;
#[cfg(feature = "failpoints")]
pub mod failpoints;
pub mod fault;
pub mod handover;
pub mod health;
pub mod http;
pub mod http_probe;
pub mod interface;
mod invisible;
mod limit_spell;
pub mod limits;
mod lingering_close;
mod listening;
mod local_health;
pub mod log;
pub mod mesh;
pub mod own_listeners;
mod own_rejection;
pub mod proxy;
pub mod resolve;
mod rtt;
mod secret_file;
mod self_connect;
mod serve;
pub mod settings;
pub mod status;
pub mod supervise;

pub mod text_file;
pub mod waypoint;
