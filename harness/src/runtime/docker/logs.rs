//! What containers wrote.

use bollard::query_parameters::LogsOptions;
use futures_util::{Stream, StreamExt};

use super::super::log_line::Lines;
use super::super::{LogLine, RuntimeError};
use super::{Docker, failed};

impl Docker {
    /// The last `tail` lines of a container's output (all where none is given), and with `follow` every later
    /// one until it stops.
    pub fn logs(
        &self,
        id: &str,
        tail: Option<usize>,
        follow: bool,
    ) -> impl Stream<Item = Result<LogLine, RuntimeError>> + use<> {
        self.read_log(id, tail, follow, false)
    }

    /// The same, each line after the time of its writing (RFC 3339, UTC, nine digits) and a space.
    pub fn dated_logs(
        &self,
        id: &str,
        tail: Option<usize>,
        follow: bool,
    ) -> impl Stream<Item = Result<LogLine, RuntimeError>> + use<> {
        self.read_log(id, tail, follow, true)
    }

    fn read_log(
        &self,
        id: &str,
        tail: Option<usize>,
        follow: bool,
        timestamps: bool,
    ) -> impl Stream<Item = Result<LogLine, RuntimeError>> + use<> {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            follow,
            timestamps,
            tail: tail.map_or_else(|| "all".to_owned(), |tail| tail.to_string()),
            ..Default::default()
        };
        let what = format!("reading the log of container {id}");
        let mut splitter = Lines::default();
        self.api
            .logs(id, Some(options))
            .map(Some)
            // The stream's end, so that a last line without an end is told too.
            .chain(futures_util::stream::iter([None]))
            .flat_map(move |output| {
                let lines = match output {
                    Some(Ok(output)) => splitter.push(&output.into_bytes()).into_iter().map(Ok).collect(),
                    Some(Err(error)) => vec![Err(failed(what.clone())(error))],
                    None => splitter.finish().into_iter().map(Ok).collect(),
                };
                futures_util::stream::iter(lines)
            })
    }

    /// The last `count` lines of a container's output; what kept them from being read where that failed.
    pub async fn last_lines(&self, id: &str, count: usize) -> Vec<String> {
        let lines = self.logs(id, Some(count), false).map(|line| match line {
            Ok(line) => line.text,
            Err(error) => error.to_string(),
        });
        let read = tokio::time::timeout(std::time::Duration::from_secs(5), lines.collect::<Vec<_>>()).await;
        read.unwrap_or_else(|_| vec!["the engine did not give the log within 5 s".to_owned()])
    }
}
