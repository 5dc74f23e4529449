//! The report files of `test`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use harness::error::Error;
use harness::report::{self, Report};

use super::super::output;

#[derive(Debug, Default, Args)]
pub(super) struct Reports {
    /// Write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the results as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Append the results as Markdown, such as to $GITHUB_STEP_SUMMARY
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

impl Reports {
    /// Checks that every file can be written.
    ///
    /// # Errors
    /// One cannot.
    pub(super) fn check(&self) -> Result<(), Error> {
        let paths = [&self.junit, &self.json, &self.markdown];
        paths
            .into_iter()
            .flatten()
            .try_for_each(|path| output::writable(path))
    }

    /// Writes every file. Returns the errors of those that could not be written.
    pub(super) fn write(&self, report: &Report) -> Vec<Error> {
        let written = [
            self.junit
                .as_deref()
                .map(|path| (path, replace(path, report::junit(report)))),
            self.json
                .as_deref()
                .map(|path| (path, replace(path, report::json(report)))),
            self.markdown
                .as_deref()
                .map(|path| (path, append(path, &report::markdown(report)))),
        ];
        let failed = written
            .into_iter()
            .flatten()
            .filter_map(|(path, result)| Some((path, result.err()?)));
        failed
            .map(|(path, error)| output::unwritten(path, error))
            .collect()
    }
}

fn replace(path: &Path, text: Result<String, String>) -> io::Result<()> {
    std::fs::write(path, text.map_err(io::Error::other)?)
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use harness::report::Objectives;
    use harness::verify::load::Load;
    use harness::verify::objectives::Measurements;

    use super::*;

    #[test]
    fn an_unwritable_report_does_not_prevent_the_others() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| Some(directory.path().join(name));
        let reports = Reports {
            junit: file("none/junit.xml"),
            json: file("report.json"),
            markdown: file("summary.md"),
        };
        let report = Report {
            runtime: "process".to_owned(),
            why: String::new(),
            began: SystemTime::UNIX_EPOCH,
            took: Duration::ZERO,
            runs: 1,
            filtered: false,
            interrupted: false,
            scenarios: Vec::new(),
            measured: Measurements::default(),
            load: Load::default(),
            objectives: Objectives::Required,
        };
        std::fs::write(directory.path().join("summary.md"), "before\n").unwrap();
        let errors: Vec<String> = reports.write(&report).iter().map(ToString::to_string).collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].contains("none/junit.xml cannot be written"),
            "{errors:?}"
        );
        let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
        assert!(read("report.json").starts_with('{'));
        assert!(
            read("summary.md").starts_with("before\n##"),
            "{}",
            read("summary.md")
        );
    }
}
