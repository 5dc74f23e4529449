//! What becomes of the results of a bench.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use harness::bench::convergence::Figures;
use harness::bench::results::Results;
use harness::error::Error;

/// Where the results go besides standard output.
#[derive(Debug, Args)]
pub(super) struct Output {
    /// Write the results there as JSON, with those of every round
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the results there as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// The results in every form.
pub(super) struct Told {
    text: String,
    markdown: String,
    json: String,
}

impl From<Results> for Told {
    fn from(results: Results) -> Self {
        Self {
            text: results.text(),
            markdown: results.markdown(),
            json: results.json(),
        }
    }
}

impl From<Figures> for Told {
    fn from(figures: Figures) -> Self {
        Self {
            text: figures.text(),
            markdown: figures.markdown(),
            json: figures.json(),
        }
    }
}

impl Output {
    /// Tells the results, and writes them where that was asked for.
    pub(super) async fn tell(&self, told: Told) -> Result<(), Error> {
        if let Some(path) = &self.json {
            write(path, told.json).await?;
        }
        if let Some(path) = &self.markdown {
            write(path, told.markdown).await?;
        }
        // Where nobody reads standard output any more, the files are still there.
        let _ = write!(std::io::stdout(), "{}", told.text);
        Ok(())
    }
}

async fn write(path: &Path, text: String) -> Result<(), Error> {
    tokio::fs::write(path, text).await.map_err(|error| {
        Error::environment(
            format!("{} cannot be written: {error}", path.display()),
            "name a file in a directory that is there and may be written to",
        )
    })
}
