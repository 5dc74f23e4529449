//! Threads with a runtime each, whose tasks and connections stay on them.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

const BACKLOG: i32 = 4096;

/// Starts a thread that runs `work`, which is called with the thread's runtime, to its end.
pub(crate) fn start<T, F>(work: impl FnOnce() -> F + Send + 'static) -> io::Result<JoinHandle<io::Result<T>>>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    std::thread::Builder::new().spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(LocalSet::new().block_on(&runtime, async { work().await }))
    })
}

/// Listens at an address that other threads may listen at as well; the kernel divides the connections among them.
pub(crate) fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    // Inherited by accepted connections.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Accepts connections for ever; each is served by a task of this thread.
pub(crate) async fn accept<F: Future<Output = ()> + 'static>(
    listener: std::net::TcpListener,
    serve: impl Fn(tokio::net::TcpStream) -> F,
) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    loop {
        // A failure affects one connection only: the client notices and counts it.
        if let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(serve(stream));
        }
    }
}

/// Runs hyper's tasks on this thread.
#[derive(Clone, Copy)]
pub(crate) struct LocalExecutor;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}
