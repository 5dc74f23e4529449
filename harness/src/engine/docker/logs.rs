//! What containers wrote.

use bollard::query_parameters::LogsOptions;
use futures_util::StreamExt;

use super::super::logs::{Lines, LogStream, Logs, Reading};
use super::{Docker, failed};

impl Logs for Docker {
    fn read_log(&self, id: &str, reading: Reading) -> LogStream {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            follow: reading.follow,
            timestamps: reading.dated,
            tail: reading
                .tail
                .map_or_else(|| "all".to_owned(), |tail| tail.to_string()),
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
            .boxed()
    }
}
