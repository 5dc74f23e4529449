//! Writes the results of a bench.

use std::path::PathBuf;

use bench::results::Results;
use clap::Args;
use harness::bench::convergence::ConvergenceResults;
use harness::error::Error;
use harness::interrupt::Interrupts;

use super::super::output;

/// Files for the results, besides standard output.
#[derive(Debug, Args)]
pub(super) struct Output {
    /// Write the results as JSON, including every round
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the results as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// Results in all formats.
pub(super) struct Formats {
    text: String,
    markdown: String,
    json: String,
}

impl From<Results> for Formats {
    fn from(results: Results) -> Self {
        Self {
            text: results.text(),
            markdown: results.markdown(),
            json: results.json(),
        }
    }
}

impl From<ConvergenceResults> for Formats {
    fn from(results: ConvergenceResults) -> Self {
        Self {
            text: results.text(),
            markdown: results.markdown(),
            json: results.json(),
        }
    }
}

impl Output {
    /// Checks that each file can be written, before time is spent on measuring.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn check_writable(&self) -> Result<(), Error> {
        let paths = [&self.json, &self.markdown];
        paths
            .into_iter()
            .flatten()
            .try_for_each(|path| output::writable(path))
    }

    /// Prints the results and writes the files.
    ///
    /// # Errors
    /// A file cannot be written; the others and standard output were.
    pub(super) async fn write(&self, formats: Formats, interrupts: &Interrupts) -> Result<(), Error> {
        // An error is ignored: the files still have the results.
        let _ = output::print(formats.text, interrupts).await;
        let files = [(&self.json, formats.json), (&self.markdown, formats.markdown)];
        let mut result = Ok(());
        for (path, text) in files {
            if let Some(path) = path
                && let Err(error) = tokio::fs::write(path, text).await
            {
                result = Err(output::unwritten(path, error));
            }
        }
        result
    }
}
