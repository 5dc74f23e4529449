//! The limit of open files: every proxied connection takes two descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit of open files (RLIMIT_NOFILE) of this process: as inherited, and as raised.
#[derive(Debug)]
pub struct OpenFiles {
    inherited: Rlimit,
    raised: Rlimit,
}

impl OpenFiles {
    /// Raises this process's soft limit to its hard limit, if the system allows it.
    pub fn raise() -> Self {
        let inherited = getrlimit(Resource::Nofile);
        let highest = Rlimit {
            current: inherited.maximum,
            maximum: inherited.maximum,
        };
        let raised = if set(&highest) { highest } else { inherited };
        Self { inherited, raised }
    }

    /// The current limit; [`u64::MAX`] if there is none.
    pub fn limit(&self) -> u64 {
        self.raised.current.unwrap_or(u64::MAX)
    }

    /// Starts a program with the inherited limit: programs that use `select`, or close all possible descriptors, work
    /// badly with a high one.
    ///
    /// A child reads its parent's limit as soon as it starts, so changing the child's limit would be too late: ours
    /// is lowered for that time. Opening a file then fails only if more files are open than the inherited limit
    /// allows.
    pub fn with_inherited_limit<T>(&self, start: impl FnOnce() -> T) -> T {
        set(&self.inherited);
        let started = start();
        set(&self.raised);
        started
    }
}

fn set(limit: &Rlimit) -> bool {
    let set = setrlimit(Resource::Nofile, *limit);
    if let Err(error) = &set {
        tracing::warn!(%error, "cannot change the limit of open files");
    }
    set.is_ok()
}
