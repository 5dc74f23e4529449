//! `status --watch`: looks at the mesh every second until an interrupt.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use harness::clock;
use harness::cluster::mesh::Mesh;
use harness::cluster::status::MeshStatus;
use harness::error::Error;
use harness::interrupt::Interrupts;

use super::super::output::print;
use super::{Layout, changes, json, screen, text};

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// Columns and rows of a terminal that does not say its own.
const DEFAULT_SIZE: (u16, u16) = (80, 24);
/// Erases the whole screen.
const ERASE: &str = "\x1b[2J";

/// Prints the status of `mesh` until an interrupt, or until nobody reads the output.
///
/// # Errors
/// The mesh was removed, or the engine fails.
pub(super) async fn run(mesh: Mesh, json: bool, interrupts: &Interrupts) -> Result<ExitCode, Error> {
    let looking = look(mesh, Output::chosen(json), interrupts);
    interrupts
        .stop
        .run_until_cancelled(looking)
        .await
        .unwrap_or(Ok(()))?;
    Ok(ExitCode::SUCCESS)
}

/// What is printed.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) enum Output {
    /// A frame for each look.
    Screen,
    /// The first status, then lines with what changed.
    Changes,
    /// A line with a JSON document for each status that differs from the one before.
    Json,
}

async fn look(mut mesh: Mesh, output: Output, interrupts: &Interrupts) -> Result<(), Error> {
    let mut last: Option<MeshStatus> = None;
    loop {
        let status = mesh.status().await?;
        let text = output.text(last.as_ref(), &status, mesh.engine().node_id())?;
        if !text.is_empty() && !print(text, interrupts).await? {
            return Ok(());
        }
        last = Some(status);
        tokio::time::sleep(PERIOD).await;
        mesh = Mesh::attach(mesh.engine(), mesh.topology().clone()).await?;
    }
}

/// The time of day in UTC, to the second.
pub(in crate::cli) fn second() -> String {
    let now = clock::time_of_day(SystemTime::now());
    now.split('.').next().unwrap_or_default().to_owned()
}

impl Output {
    /// JSON if it is wanted, otherwise what suits standard output.
    pub(in crate::cli) fn chosen(json: bool) -> Self {
        match json {
            true => Self::Json,
            false if io::stdout().is_terminal() => Self::Screen,
            false => Self::Changes,
        }
    }

    /// The text as a frame of the terminal.
    pub(in crate::cli) fn frame(self, text: &str, first: bool) -> String {
        let size = rustix::termios::tcgetwinsize(io::stdout())
            .ok()
            .filter(|size| size.ws_col > 0 && size.ws_row > 0)
            .map_or(DEFAULT_SIZE, |size| (size.ws_col, size.ws_row));
        let text = format!("{} UTC, every second; Ctrl-C ends.\n\n{text}", second());
        let erase = if first { ERASE } else { "" };
        format!("{erase}{}", screen::frame(&text, size.0, size.1))
    }

    fn text(self, last: Option<&MeshStatus>, status: &MeshStatus, id: &str) -> Result<String, Error> {
        Ok(match (self, last) {
            (Self::Screen, last) => self.frame(&text::status(status, id), last.is_none()),
            (Self::Changes, None) => format!("{}\n", text::status(status, id)),
            (Self::Changes, Some(last)) => changes::changes(last, status)
                .iter()
                .map(|change| format!("{} {change}\n", second()))
                .collect(),
            (Self::Json, Some(last)) if last == status => String::new(),
            (Self::Json, _) => format!("{}\n", json(status, Layout::Line)?),
        })
    }
}
