//! What stands behind the proxies: threads that block, for that costs the fewest system calls a connection, and the
//! machine's processors are what is measured.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::wire::Order;

/// Memory of a thread, in bytes; it needs the answer's block and little else.
const STACK: usize = 128 * 1024;
/// What an answer is made of.
static BLOCK: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// Answers on `listener` with this number of threads, until the process ends.
///
/// # Errors
/// A thread cannot be started.
pub fn serve(listener: &TcpListener, threads: usize) -> io::Result<()> {
    let kept = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..threads {
            thread::Builder::new()
                .stack_size(STACK)
                .spawn_scoped(scope, || work(listener, &kept))?;
        }
        Ok(())
    })
}

fn work(listener: &TcpListener, kept: &Mutex<Vec<TcpStream>>) {
    loop {
        // What fails is one connection: the client sees it and counts it.
        let Ok((mut stream, _)) = listener.accept() else {
            continue;
        };
        if let Ok(Order { keep: true, .. }) = answer(&mut stream) {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
        }
    }
}

fn answer(stream: &mut TcpStream) -> io::Result<Order> {
    let order = Order::read(stream)?;
    let mut left = order.bytes;
    while left > 0 {
        let length = usize::try_from(left).map_or(BLOCK.len(), |left| left.min(BLOCK.len()));
        stream.write_all(&BLOCK[..length])?;
        left -= length as u64;
    }
    Ok(order)
}
