//! The duties of a parent, and of process 1: starts the program, forwards signals to it, follows the job control of a
//! terminal, and reaps orphans.
//!
//! The program inherits exactly what the sidecar did. [`launcher`] forks it before the sidecar changes anything about
//! itself; [`signals`] then takes all signals, [`rules`] decides what each means, and [`supervisor`] does it.

pub mod launcher;
pub mod program;
pub mod rules;
pub mod signals;
pub mod supervisor;
mod terminal;

pub use launcher::Launcher;
pub use program::{Program, exit_code};
pub use rules::StopReason;
pub use supervisor::{Event, Supervisor};
