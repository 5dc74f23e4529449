//! The one typed command that every door produces and the controller applies.

mod add;
mod list;
mod remove;
mod spec;
mod update;

pub use add::Add;
pub use list::{Counted, Figure, List, ListenerName};
pub use remove::Remove;
pub use spec::{ListenerSpec, ServerGroupSpec, SmartGroupSpec, SmartNodeSpec};
pub use update::{CheckUpdate, ListenerUpdate, Update};

/// A server's or group's share where none is given, as in the original.
pub const DEFAULT_WEIGHT: u32 = 10;

/// Something to do with the sidecar's configuration, or to read from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Makes a resource, or attaches one to another.
    Add(Add),
    /// Changes a resource.
    Update(Update),
    /// Removes a resource, or detaches one from another.
    Remove {
        /// What.
        what: Remove,
        /// Along with whatever uses it; without it, what is in use is not removed.
        force: bool,
    },
    /// Reads resources.
    List {
        /// Which.
        what: List,
        /// A line about each, and not only its name or the number of them.
        detail: bool,
    },
}
