//! The server that all proxies forward to. It uses blocking threads, because they make the fewest system calls per
//! connection: load and backend share the processors with the measured proxy.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::request::BackendRequest;

/// Stack size of a thread, in bytes. Small, because the response block is static.
const STACK: usize = 128 * 1024;
/// The data of responses.
static BLOCK: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// Serves connections of `listener` with `threads` threads, one connection per thread, until the process ends.
///
/// # Errors
/// A thread cannot be started.
pub fn serve(listener: &TcpListener, threads: usize) -> io::Result<()> {
    let open = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..threads {
            thread::Builder::new()
                .stack_size(STACK)
                .spawn_scoped(scope, || accept_loop(listener, &open))?;
        }
        Ok(())
    })
}

/// Serves one connection after another. Connections to keep open are moved to `open`.
fn accept_loop(listener: &TcpListener, open: &Mutex<Vec<TcpStream>>) {
    loop {
        // A failure affects one connection only: the client notices and counts it.
        let Ok((mut stream, _)) = listener.accept() else {
            continue;
        };
        if let Ok(BackendRequest { keep_open: true, .. }) = respond(&mut stream) {
            open.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
        }
    }
}

fn respond(stream: &mut TcpStream) -> io::Result<BackendRequest> {
    let request = BackendRequest::read(stream)?;
    let mut left = request.response_bytes;
    while left > 0 {
        let length = usize::try_from(left).map_or(BLOCK.len(), |left| left.min(BLOCK.len()));
        stream.write_all(&BLOCK[..length])?;
        left -= length as u64;
    }
    Ok(request)
}
