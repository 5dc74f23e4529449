//! What becomes of the results of a bench.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use harness::bench::convergence::Figures;
use harness::bench::results::Results;
use harness::error::Error;

use super::super::destination;

/// Where the results go besides standard output.
#[derive(Debug, Args)]
pub(super) struct Output {
    /// Write the results as JSON, including every round
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the results as Markdown
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
    /// Whether each file can be written.
    ///
    /// # Errors
    /// One cannot.
    pub(super) fn tried(&self) -> Result<(), Error> {
        let paths = [&self.json, &self.markdown];
        paths
            .into_iter()
            .flatten()
            .try_for_each(|path| destination::writable(path))
    }

    /// Tells the results, and writes them where that was asked for.
    ///
    /// # Errors
    /// A file cannot be written; the results were told.
    pub(super) async fn tell(&self, told: Told) -> Result<(), Error> {
        // Where nobody reads standard output any more, there are still the files.
        let _ = write!(std::io::stdout(), "{}", told.text);
        let files = [(&self.json, told.json), (&self.markdown, told.markdown)];
        let mut result = Ok(());
        for (path, text) in files {
            if let Some(path) = path
                && let Err(error) = tokio::fs::write(path, text).await
            {
                result = Err(destination::unwritten(path, error));
            }
        }
        result
    }
}
