//! Cuts the way from one container to others. It runs in the first one's network namespace, and needs the capability
//! NET_ADMIN there and nothing else.
//!
//! `netcut block ADDRESS...` makes packets to these addresses vanish; `netcut lose PERCENT ADDRESS...` does so for
//! PERCENT of the time, in short bursts. It says `ready` once that is so. On SIGTERM or SIGINT, and with
//! `--end-with-stdin` at the end of its standard input, it mends what it cut and ends.

mod bursts;
mod neighbours;
mod order;

use std::io::Write;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use bursts::Bursts;
use neighbours::Neighbours;
use order::{Action, Order};

/// How long a burst of loss lasts at least.
const BURST: Duration = Duration::from_millis(20);

/// Why the way could not be cut, or not be mended.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Order(#[from] order::OrderError),
    #[error(transparent)]
    Neighbour(#[from] neighbours::NeighbourError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            // Nothing is left to tell it to where standard error is closed.
            let _ = writeln!(std::io::stderr(), "netcut: {fault}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Fault> {
    let order = Order::read(std::env::args().skip(1))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let input_ends = input_ends(order.end_with_stdin)?;
    let told_to_end = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = input_ends => {}
        }
    };

    let mut neighbours = Neighbours::of(&order.addresses).await?;
    let done = tokio::select! {
        done = cut(&mut neighbours, &order) => done,
        () = told_to_end => Ok(()),
    };
    let mended = neighbours.restore_all().await;
    done.and(mended).map_err(Fault::from)
}

/// Cuts the way until it is dropped.
async fn cut(neighbours: &mut Neighbours, order: &Order) -> Result<(), neighbours::NeighbourError> {
    let mut bursts = match order.action {
        Action::Block => Vec::new(),
        Action::Lose { percent } => order
            .addresses
            .iter()
            .map(|address| (*address, Bursts::new(percent, rand::random())))
            .collect::<Vec<_>>(),
    };
    if order.action == Action::Block {
        for address in &order.addresses {
            neighbours.mislead(*address).await?;
        }
    }
    ready();
    let mut slices = tokio::time::interval(BURST);
    slices.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if bursts.is_empty() {
            std::future::pending::<()>().await;
        }
        slices.tick().await;
        for (address, bursts) in &mut bursts {
            turn(neighbours, *address, bursts).await?;
        }
    }
}

/// Begins or ends a burst for one address, where the next slice of time differs from the last.
async fn turn(
    neighbours: &mut Neighbours,
    address: Ipv4Addr,
    bursts: &mut Bursts,
) -> Result<(), neighbours::NeighbourError> {
    match bursts.next_slice() {
        Some(true) => neighbours.mislead(address).await,
        Some(false) => neighbours.restore(address).await,
        None => Ok(()),
    }
}

fn ready() {
    let mut out = std::io::stdout();
    // Whoever started this may have gone; then its standard input has ended too.
    let _ = writeln!(out, "ready").and_then(|()| out.flush());
}

/// Returns at the end of standard input; never where that does not count.
fn input_ends(counts: bool) -> std::io::Result<impl Future<Output = ()>> {
    let (ended, end) = oneshot::channel();
    let waiting = if counts {
        // A thread that nobody waits for: a read cannot be cancelled, and the program must end without it.
        std::thread::Builder::new().spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            let _ = ended.send(());
        })?;
        None
    } else {
        Some(ended)
    };
    Ok(async move {
        let _waiting = waiting;
        let _ = end.await;
    })
}
