//! Worker threads, which relay connections. Each has its own runtime, and a connection stays on the worker that
//! accepted it: no thread hands work to another, and the mesh and the control plane, on their own thread, do not
//! delay connections.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// Blocking threads per worker, for the name lookups of SOCKS5 servers that allow any destination.
const BLOCKING_THREADS: usize = 2;

/// The runtimes on which listeners serve their connections; by default the runtime on which a listener is started.
#[derive(Debug, Clone, Default)]
pub struct Workers {
    runtimes: Option<Arc<[Handle]>>,
    opened: Option<CancellationToken>,
}

/// The threads of [`Workers`]. Dropping this ends them and their remaining connections.
#[derive(Debug)]
pub struct WorkerThreads {
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` threads, at least one.
    ///
    /// # Errors
    /// When the system cannot create a thread or an epoll instance.
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
            // Built on its own thread: a runtime must not be dropped on a thread of another runtime, which would
            // happen if no thread could be started.
            let run = move || {
                let runtime = Builder::new_current_thread()
                    .max_blocking_threads(BLOCKING_THREADS)
                    .enable_all()
                    .build();
                // The starting thread waits for this message.
                let runtime = match runtime {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(built.send(Err(error))),
                };
                let _ = built.send(Ok(runtime.handle().clone()));
                runtime.block_on(stop.cancelled());
                // Ends the tasks at once. A name lookup cannot be cancelled, and is not waited for.
                runtime.shutdown_background();
            };
            let thread = std::thread::Builder::new().name(format!("worker-{index}"));
            owner.threads.push(thread.spawn(run)?);
            handles.push(building.recv().map_err(io::Error::other)??);
        }
        let workers = Self {
            runtimes: Some(handles.into()),
            opened: None,
        };
        Ok((workers, owner))
    }

    /// Makes listeners accept nothing before this is cancelled; until then connections wait in the kernel's backlog.
    #[must_use]
    pub fn opened_by(self, opened: Option<CancellationToken>) -> Self {
        Self { opened, ..self }
    }

    /// Waits until listeners may accept.
    pub(super) async fn opened(&self) {
        if let Some(opened) = &self.opened {
            opened.cancelled().await;
        }
    }

    /// The runtimes to accept connections on.
    pub(super) fn runtimes(&self) -> Vec<Handle> {
        match &self.runtimes {
            Some(handles) => handles.to_vec(),
            None => vec![Handle::current()],
        }
    }
}

impl Drop for WorkerThreads {
    fn drop(&mut self) {
        self.stop.cancel();
        for thread in self.threads.drain(..) {
            // Tasks do not block, so this takes at most one poll. A panic of the worker has already been reported.
            let _ = thread.join();
        }
    }
}
