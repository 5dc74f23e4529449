//! The control plane: one command grammar and the doors to it.

mod command;
mod controller;
mod error;
mod file;
mod grammar;
pub mod http;
mod model;
mod offers;
mod parse;
mod registration;
mod smart_group;
mod values;

pub use command::{
    Add, Command, DEFAULT_WEIGHT, ListenerSpec, Remove, ServerGroupSpec, SmartGroupSpec, SmartNodeSpec,
};
pub use controller::{Controller, GroupView, RegistrationView};
pub use error::CommandError;
pub use file::{Line, MAX_FILE, Script};
pub use grammar::{Action, Flag, Key, Resource};
pub use offers::Offers;
