//! Cuts the network from one container to others. It runs in the first one's network namespace and needs only the
//! capability NET_ADMIN.
//!
//! `netcut block ADDRESS...` drops all packets to these addresses; `netcut lose PERCENT ADDRESS...` drops them for
//! PERCENT of the time, in short bursts. It writes `ready` when the cut is active. On SIGTERM or SIGINT, or with
//! `--end-with-stdin` at the end of standard input, it heals the network and exits.

mod arguments;
mod bursts;
mod neighbours;

use std::io::Write;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use arguments::{Action, Arguments};
use bursts::Bursts;
use neighbours::Neighbours;

/// Minimum duration of a burst of loss.
const BURST: Duration = Duration::from_millis(20);

/// Why the network could not be cut or healed.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Arguments(#[from] arguments::ArgumentsError),
    #[error(transparent)]
    Neighbour(#[from] neighbours::NeighbourError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // An error is ignored: the exit code reports the failure.
            let _ = writeln!(std::io::stderr(), "netcut: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let input_ends = input_ends(arguments.end_with_stdin)?;
    let stopped = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = input_ends => {}
        }
    };

    let mut neighbours = Neighbours::of(&arguments.addresses).await?;
    let done = tokio::select! {
        done = cut(&mut neighbours, &arguments) => done,
        () = stopped => Ok(()),
    };
    let healed = neighbours.restore_all().await;
    done.and(healed).map_err(Error::from)
}

/// Cuts the network until it is dropped.
async fn cut(neighbours: &mut Neighbours, arguments: &Arguments) -> Result<(), neighbours::NeighbourError> {
    let mut bursts = match arguments.action {
        Action::Block => Vec::new(),
        Action::Lose { percent } => arguments
            .addresses
            .iter()
            .map(|address| (*address, Bursts::new(percent, rand::random())))
            .collect::<Vec<_>>(),
    };
    if arguments.action == Action::Block {
        for address in &arguments.addresses {
            neighbours.cut_off(*address).await?;
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
            step(neighbours, *address, bursts).await?;
        }
    }
}

/// Begins or ends a burst for one address, if the next slice of time differs from the last.
async fn step(
    neighbours: &mut Neighbours,
    address: Ipv4Addr,
    bursts: &mut Bursts,
) -> Result<(), neighbours::NeighbourError> {
    match bursts.next_slice() {
        Some(true) => neighbours.cut_off(address).await,
        Some(false) => neighbours.restore(address).await,
        None => Ok(()),
    }
}

fn ready() {
    let mut out = std::io::stdout();
    // An error is ignored: if the parent has ended, standard input ends too.
    let _ = writeln!(out, "ready").and_then(|()| out.flush());
}

/// Returns at the end of standard input; never returns unless `watched`.
fn input_ends(watched: bool) -> std::io::Result<impl Future<Output = ()>> {
    let (ended, end) = oneshot::channel();
    let waiting = if watched {
        // The thread is not joined, because its read cannot be cancelled.
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
