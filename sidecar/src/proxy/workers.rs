//! The threads that carry connections. Each has a runtime of its own, and a connection stays on the one that
//! accepted it: nothing of it is handed from thread to thread, and what the mesh and the control plane do on
//! theirs does not hold it up.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// Per worker; they resolve names for SOCKS5 servers that allow any destination.
const BLOCKING_THREADS: usize = 2;

/// Where listeners carry their connections. By default that is the runtime on which they are started.
#[derive(Debug, Clone, Default)]
pub struct Workers(Option<Arc<[Handle]>>);

/// The threads of [`Workers`]. Dropped, they end, and what is still carried there ends with them.
#[derive(Debug)]
pub struct WorkerThreads {
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// So many threads, at least one.
    ///
    /// # Errors
    /// When the system gives no thread or no epoll instance.
    pub fn start(count: usize) -> io::Result<(Self, WorkerThreads)> {
        let stop = CancellationToken::new();
        let mut handles = Vec::new();
        let mut owner = WorkerThreads {
            stop: stop.clone(),
            threads: Vec::new(),
        };
        for index in 0..count.max(1) {
            let (built, building) = mpsc::channel();
            let stop = stop.clone();
            // Built there: where there is no thread for it, it would end on a thread of another, which a runtime must not.
            let run = move || {
                let runtime = Builder::new_current_thread()
                    .max_blocking_threads(BLOCKING_THREADS)
                    .enable_all()
                    .build();
                // Who started this waits for what is sent.
                let runtime = match runtime {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(built.send(Err(error))),
                };
                let _ = built.send(Ok(runtime.handle().clone()));
                runtime.block_on(stop.cancelled());
                // Its tasks end here and now. A lookup of a name cannot be called off, and is not waited for.
                runtime.shutdown_background();
            };
            let thread = std::thread::Builder::new().name(format!("worker-{index}"));
            owner.threads.push(thread.spawn(run)?);
            handles.push(building.recv().map_err(io::Error::other)??);
        }
        Ok((Self(Some(handles.into())), owner))
    }

    /// The runtimes to accept on.
    pub(super) fn runtimes(&self) -> Vec<Handle> {
        match &self.0 {
            Some(handles) => handles.to_vec(),
            None => vec![Handle::current()],
        }
    }
}

impl Drop for WorkerThreads {
    fn drop(&mut self) {
        self.stop.cancel();
        for thread in self.threads.drain(..) {
            // Nothing on a worker blocks, so this takes no longer than one turn of a task. A worker that
            // panicked has said so already.
            let _ = thread.join();
        }
    }
}
