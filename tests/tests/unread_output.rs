//! A harness whose standard error and output nobody reads: it starts its mesh, and Ctrl-C removes it.

#![allow(
    clippy::unwrap_used,
    reason = "a failing helper fails its test, as an assertion does"
)]

use std::io::{PipeReader, PipeWriter};
use std::os::fd::AsRawFd;
use std::time::Duration;

use harness::wait;
use tests::{Mesh, end, on_each, signal};
use tokio::net::unix::pipe::OpenOptions;

/// Timeout for the start of the mesh.
const START_LIMIT: Duration = Duration::from_secs(120);
const PERIOD: Duration = Duration::from_millis(100);

/// A pipe in which nothing has room.
async fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    // Opened again, because writing to the harness's end must block.
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let filling = OpenOptions::new().open_sender(path).unwrap();
    filling.writable().await.unwrap();
    // The size of a page: the last write fills the last one.
    while filling.try_write(&[b'\n'; 4096]).is_ok() {}
    (reader, writer)
}

#[tokio::test]
async fn ctrl_c_removes_the_mesh_of_a_harness_whose_output_is_not_read() {
    on_each(async |engine| {
        let mesh = Mesh::on(engine).await.unwrap();
        let (_errors, stderr) = full_pipe().await;
        let (_output, stdout) = full_pipe().await;
        let mut up = mesh.spawn_up(stdout, stderr).await.unwrap();
        // Five containers and a network.
        let started = async || match mesh.leftovers().await.unwrap() {
            there if there.len() == 6 => Ok(()),
            there => Err(there),
        };
        wait::until(START_LIMIT, PERIOD, started, |_| {}).await.unwrap();
        signal(&up, "INT").await.unwrap();
        end(&mut up).await.unwrap();
        assert_eq!(mesh.leftovers().await.unwrap(), Vec::<String>::new());
    })
    .await
    .unwrap();
}
