//! Programs whose standard error nobody reads: they start, answer and stop.

use std::io::PipeReader;
use std::os::fd::AsRawFd as _;

use rustix::process::Signal;
use tokio::net::unix::pipe::OpenOptions;

use crate::fake_sidecar::FakeSidecar;
use crate::http::{get, reserved_port, until};
use crate::process::Process;

/// A pipe in which nothing has room.
async fn full_pipe() -> (PipeReader, std::io::PipeWriter) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    // Opened again, because writing to the program's end must block.
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let filling = OpenOptions::new().open_sender(path).expect("the pipe");
    filling.writable().await.expect("the pipe");
    // The size of a page: the last write fills the last one.
    while filling.try_write(&[b'\n'; 4096]).is_ok() {}
    (reader, writer)
}

/// Waits until the program answers.
async fn answers(address: std::net::SocketAddr) {
    until("the program accepts connections", async || {
        tokio::net::TcpStream::connect(address).await.is_ok()
    })
    .await;
    assert_eq!(get(address, "/").await.status, 200);
}

#[tokio::test]
async fn a_service_whose_log_is_not_read_answers_and_stops() {
    let sidecar = FakeSidecar::start().await;
    let (_reader, writer) = full_pipe().await;
    let service = Process::logging_to(writer, "service", &["a", "--sidecar", &sidecar.url]);
    sidecar.asked("POST").await;
    answers(sidecar.allocated()).await;
    service.signal(Signal::TERM);
    let (status, _) = service.end().await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_frontend_whose_log_is_not_read_answers_and_stops() {
    let (held, address) = reserved_port();
    drop(held);
    let (_reader, writer) = full_pipe().await;
    let frontend = Process::logging_to(writer, "frontend", &["--listen", &address.to_string()]);
    answers(address).await;
    frontend.signal(Signal::TERM);
    let (status, _) = frontend.end().await;
    assert!(status.success(), "{status}");
}
