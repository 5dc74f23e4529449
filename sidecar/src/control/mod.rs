//! The control plane: one command grammar and the doors to it.

mod apply;
#[cfg(test)]
mod arbitrary;
pub mod autosave;
mod command;
mod controller;
pub mod credential;
mod error;
mod file;
mod grammar;
pub mod http;
mod lines;
mod model;
mod offers;
mod parse;
mod read;
mod registration;
mod render;
mod reply;
pub mod resp;
mod running;
mod sessions;
mod smart_group;
mod suggestion;
mod values;
mod view;

pub use command::{
    Add, CheckUpdate, Command, Counted, DEFAULT_WEIGHT, Figure, List, ListenerName, ListenerSpec,
    ListenerUpdate, Remove, ServerGroupSpec, SmartGroupSpec, SmartNodeSpec, Update,
};
pub use controller::Controller;
pub use error::CommandError;
pub use file::{Line, Script};
pub use grammar::{Action, Flag, Key, Resource};
pub use offers::Offers;
pub use reply::Reply;
pub use sessions::SessionPattern;
pub use view::{
    GroupView, ListenerView, MemberView, RegistrationView, SecurityGroupView, ServerGroupsView,
    SmartGroupView,
};
