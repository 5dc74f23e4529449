//! File descriptors: every proxied connection takes two.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many files this process may have open: the limit that it was started with, and the one that it goes by.
#[derive(Debug)]
pub struct OpenFiles {
    given: Rlimit,
    own: Rlimit,
}

impl OpenFiles {
    /// Raises this process's soft limit to its hard limit, where the system lets it.
    pub fn raise() -> Self {
        let given = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: given.maximum,
            maximum: given.maximum,
        };
        let own = if set(&raised) { raised } else { given };
        Self { given, own }
    }

    /// The limit that holds now, [`u64::MAX`] where there is none.
    pub fn limit(&self) -> u64 {
        self.own.current.unwrap_or(u64::MAX)
    }

    /// Starts a program under the limit that this process was given: one that uses `select`, or closes all the files that
    /// it could have, does badly with a high one.
    ///
    /// A child has its parent's limit from its first moment on, and may look at it in the next, so that changing the
    /// child's would come late. It is ours that is lowered meanwhile. Who opens a file just then fares as if there were
    /// none left, but only if we have more open than we were given, before the program has even begun.
    pub fn as_given<T>(&self, start: impl FnOnce() -> T) -> T {
        set(&self.given);
        let started = start();
        set(&self.own);
        started
    }
}

fn set(limit: &Rlimit) -> bool {
    let set = setrlimit(Resource::Nofile, *limit);
    if let Err(error) = &set {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    set.is_ok()
}
