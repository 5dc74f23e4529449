//! Reads containers' logs.

use bollard::query_parameters::LogsOptions;
use futures_util::StreamExt;

use super::super::LogOptions;
use super::super::logs::{Lines, LogStream};
use super::{Docker, failed};

impl Docker {
    pub(crate) fn logs(&self, id: &str, options: LogOptions) -> LogStream {
        let query = LogsOptions {
            stdout: true,
            stderr: true,
            follow: options.follow,
            timestamps: options.timestamps,
            tail: options
                .tail
                .map_or_else(|| "all".to_owned(), |tail| tail.to_string()),
            ..Default::default()
        };
        let what = format!("reading the log of container {id}");
        let mut splitter = Lines::default();
        self.api
            .logs(id, Some(query))
            .map(Some)
            // Marks the end of the stream, so that a last line without a line break is passed on.
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
