//! The limit of open files: every proxied connection takes two descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit of open files (RLIMIT_NOFILE) of this process, as raised.
#[derive(Debug)]
pub struct OpenFiles {
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
        Self { raised }
    }

    /// The current limit; [`u64::MAX`] if there is none.
    pub fn limit(&self) -> u64 {
        self.raised.current.unwrap_or(u64::MAX)
    }
}

fn set(limit: &Rlimit) -> bool {
    let set = setrlimit(Resource::Nofile, *limit);
    if let Err(error) = &set {
        tracing::warn!(%error, "cannot change the limit of open files");
    }
    set.is_ok()
}
