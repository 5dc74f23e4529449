//! The server that all proxies forward to. Blocking threads, because they make the fewest system calls per connection,
//! and the load shares the processors with what is measured.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::request::BackendRequest;

/// Stack of a thread, in bytes; the response block is static, so little is needed.
const STACK: usize = 128 * 1024;
/// Responses are written from this block.
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

/// Answers one connection after another; those to be kept open are put into `open`.
fn accept_loop(listener: &TcpListener, open: &Mutex<Vec<TcpStream>>) {
    loop {
        // A failure concerns one connection: the client sees it and counts it.
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
