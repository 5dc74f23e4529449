//! The control plane: one command language and the controllers that accept it: config file, RESP and HTTP.
//!
//! Everything about one resource is in its file under [`resources`]; the [`Controller`] executes commands.

mod address;
#[cfg(test)]
mod arbitrary;
pub mod autosave;
mod command;
mod controller;
pub mod credential;
mod error;
mod file;
mod handover;
pub mod http;
mod local_listeners;
mod offers;
pub mod reference;
mod registration;
mod remarks;
mod reply;
mod resolved_group;
mod resources;
pub mod resp;
mod running;
mod sentence;
mod sessions;
mod smart_group;
mod spell;
mod suggestion;
mod unoffered;
mod values;

pub use address::Address;
pub use command::Command;
pub use controller::Controller;
pub use error::CommandError;
pub use file::{Line, Script};
pub use handover::{ControlState, ServerHealth};
pub use offers::Offers;
pub use remarks::{Parsed, Remarks};
pub use reply::Reply;
pub use resources::{
    Add, GroupView, Id, ListenerView, Parent, RegistrationView, Removal, Resource, SecurityGroupView, Spec,
    Update,
};
pub use running::ListenerName;
pub use sentence::Action;
pub use sessions::SessionPattern;
